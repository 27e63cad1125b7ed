// Sends a lead. LEADMILL_URL is where leadmill is, LEADMILL_KEY the key of a source.
import { setTimeout as sleep } from "node:timers/promises";

// It may send again, because a lead is stored once for each key: name it after what you send.
async function sendLead(lead, idempotencyKey, tries = 6) {
  for (let n = 1; ; n++) {
    let wait = 2 ** n;
    try {
      const answer = await fetch(process.env.LEADMILL_URL + "/api/v1/leads", {
        method: "POST",
        headers: {
          Authorization: `Bearer ${process.env.LEADMILL_KEY}`,
          "Content-Type": "application/json",
          "Idempotency-Key": idempotencyKey,
        },
        body: JSON.stringify(lead),
        signal: AbortSignal.timeout(30_000),
      });
      if (answer.ok) return await answer.json();
      if (![429, 503].includes(answer.status) || n === tries) {
        console.error(await answer.text()); // application/problem+json says what to do
        process.exit(1);
      }
      wait = Number(answer.headers.get("Retry-After") ?? wait);
    } catch (noAnswer) { // perhaps it was stored, perhaps not
      if (n === tries) throw noAnswer;
    }
    await sleep(wait * 1000);
  }
}

const lead = { email: "ada@example.com", name: "Ada Lovelace", phone: "+44 20 7946 0123", utm_source: "newsletter" };
console.log(JSON.stringify(await sendLead(lead, "order-17")));
