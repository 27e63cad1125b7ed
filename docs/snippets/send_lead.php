<?php
// Sends a lead. LEADMILL_URL is where leadmill is, LEADMILL_KEY the key of a source.

// It may send again, because a lead is stored once for each key: name it after what you send.
function sendLead(array $lead, string $idempotencyKey, int $tries = 6): array
{
    $context = stream_context_create(['http' => [
        'method' => 'POST',
        'header' => [
            'Authorization: Bearer ' . getenv('LEADMILL_KEY'),
            'Content-Type: application/json',
            'Idempotency-Key: ' . $idempotencyKey,
        ],
        'content' => json_encode($lead, JSON_THROW_ON_ERROR),
        'ignore_errors' => true, // the body of an error is wanted too
        'timeout' => 30,
    ]]);
    for ($n = 1; ; $n++) {
        $wait = 2 ** $n;
        $status = 0; // no answer: perhaps it was stored, perhaps not
        $stream = @fopen(getenv('LEADMILL_URL') . '/api/v1/leads', 'r', false, $context);
        if ($stream !== false) {
            $headers = stream_get_meta_data($stream)['wrapper_data'];
            $status = (int) explode(' ', $headers[0])[1];
            $body = stream_get_contents($stream);
            fclose($stream);
            foreach ($headers as $header) {
                if (stripos($header, 'Retry-After:') === 0) {
                    $wait = (int) substr($header, 12);
                }
            }
        }
        if ($status >= 200 && $status < 300) {
            return json_decode($body, true, 512, JSON_THROW_ON_ERROR);
        }
        if (!in_array($status, [0, 429, 503], true) || $n === $tries) {
            fwrite(STDERR, $body ?? "no answer\n"); // application/problem+json says what to do
            exit(1);
        }
        sleep($wait);
    }
}

$lead = ['email' => 'ada@example.com', 'name' => 'Ada Lovelace', 'phone' => '+44 20 7946 0123', 'utm_source' => 'newsletter'];
echo json_encode(sendLead($lead, 'order-17')), "\n";
