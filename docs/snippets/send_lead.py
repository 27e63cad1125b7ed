"""Sends a lead. LEADMILL_URL is where leadmill is, LEADMILL_KEY the key of a source."""
import http.client
import json
import os
import sys
import time
import urllib.error
import urllib.request


def send_lead(lead, idempotency_key, tries=6):
    """Returns the answer. It may send again, because a lead is stored once for each key: name it after what you send."""
    request = urllib.request.Request(
        os.environ["LEADMILL_URL"] + "/api/v1/leads",
        data=json.dumps(lead).encode(),
        headers={
            "Authorization": "Bearer " + os.environ["LEADMILL_KEY"],
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key,
        },
    )
    for n in range(1, tries + 1):
        wait = 2**n
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            if refusal.code not in (429, 503) or n == tries:
                sys.exit(refusal.read().decode())  # application/problem+json says what to do
            wait = int(refusal.headers.get("Retry-After", wait))
        except (OSError, http.client.HTTPException):  # no answer: perhaps it was stored, perhaps not
            if n == tries:
                raise
        time.sleep(wait)


lead = {"email": "ada@example.com", "name": "Ada Lovelace", "phone": "+44 20 7946 0123", "utm_source": "newsletter"}
print(json.dumps(send_lead(lead, "order-17")))
