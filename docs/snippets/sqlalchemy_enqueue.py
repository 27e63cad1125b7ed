"""Puts a lead in from a transaction of your own: it is there if you commit, and never was if you roll back.

DATABASE_URL is the database that leadmill works on; the user is a member of leadmill_producer.
"""
import json
import os

from sqlalchemy import create_engine, text
from sqlalchemy.orm import sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
Session = sessionmaker(engine)


def enqueue_lead(session, source, lead, idempotency_key=None):
    """Returns the id of the intake. The same key and lead again return the same id."""
    call = text("SELECT enqueue_lead(:source, CAST(:lead AS jsonb), :key)")
    return session.execute(call, {"source": source, "lead": json.dumps(lead), "key": idempotency_key}).scalar_one()


with Session.begin() as session:  # commits at its end
    # session.add(order): what you write yourself is part of it
    print(enqueue_lead(session, "web-form", {"email": "ada@example.com", "name": "Ada Lovelace"}, "order-17"))


class OutOfStock(Exception):
    pass


try:
    with Session.begin() as session:  # rolls back, because it ends with an error
        enqueue_lead(session, "web-form", {"email": "grace@example.com", "name": "Grace Hopper"}, "order-18")
        raise OutOfStock
except OutOfStock:
    pass
