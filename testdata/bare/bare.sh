#!/usr/bin/env bash
# What PostgreSQL itself allows for the row changes of process_leads, in chunks of 500, by two psql processes at once.
#
#   DATABASE_URL=postgres://user@host/db ./bare.sh LEADS
#
# The database is migrated and empty; LEADS is a multiple of 1000. It prints one line as leadmill bench does. CPU is in
# microseconds for each lead; pg_cpu_us is null where the server is not a process of this machine. Measure on a quiet server: all
# of its databases count.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "${BASH_SOURCE[0]}")"
leads=$1

# Debian keeps the programs of each major version in a folder of its own; the newest comes first.
for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V); do PATH=$dir:$PATH; done

sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@" "$DATABASE_URL"; }

postmaster=$(sql <<'EOF'
SELECT pg_backend_pid() AS pid \gset
\setenv backend :pid
\! awk '$2 == "(postgres)" { print $4 }' /proc/$backend/stat 2>/dev/null
EOF
)

pg_ticks() {
    { cat /proc/[0-9]*/stat 2>/dev/null || true; } | awk -v postmaster="$postmaster" '
        $1 == postmaster { t += $14 + $15 + $16 + $17 }
        $4 == postmaster && $2 == "(postgres)" { t += $14 + $15 }
        END { print t + 0 }'
}

# chunks lets one process work every other chunk, from the first one it is given on.
chunks() {
    echo '\o /dev/null'
    for ((first = $1; first <= leads; first += 1000)); do
        echo "\\set first $first"
        echo "\\set last $((first + 499))"
        echo '\i chunk.sql'
    done
}

sql -v leads="$leads" -f setup.sql
before=$(pg_ticks) start=$EPOCHREALTIME
client=$(chunks 1 | sql & chunks 501 | sql & wait; times) # its last line is like 0m0.120s 0m0.034s
end=$EPOCHREALTIME after=$(pg_ticks)
events=$(sql -c "SELECT count(*) FROM events WHERE lead_id IN (SELECT lead_id FROM intakes WHERE status = 'accepted')")
((events == 4 * leads)) || { echo "bare.sh: $events events of $leads leads" >&2; exit 1; }
awk -v leads="$leads" -v start="$start" -v end="$end" -v pg=$((after - before)) -v tick="$(getconf CLK_TCK)" -v here="$postmaster" \
    -v client="${client##*$'\n'}" 'BEGIN {
        split(client, used, "[ms ]+"); seconds = end - start
        printf "{\"name\":\"bare\",\"leads\":%d,\"seconds\":%.3f,\"leads_per_s\":%.0f,\"client_cpu_us\":%.1f,\"pg_cpu_us\":%s}\n",
            leads, seconds, leads / seconds, (60 * used[1] + used[2] + 60 * used[3] + used[4]) * 1e6 / leads, here ? sprintf("%.1f", pg * 1e6 / tick / leads) : "null" }'
