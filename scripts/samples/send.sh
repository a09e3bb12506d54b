# Sourced by scripts/run: sample mails, each for one of the subscribers, and what became of them.
# Uses its variables: bin, data, samples, sim_address, route_sim_address, http_address; and runs, say.

stamp=$(($(date +%s%3N) % 100000000)) # new senders each time: nobody is answered twice by one rule

# post PATH JSON: to the stand-in for AgentMail.
post() {
    curl -fsS -o /dev/null -H 'Content-Type: application/json' -H 'Authorization: Bearer demo' "http://$sim_address$1" -d "$2" ||
        say "the stand-in did not take a mail: see $data/agentmail-sim.log"
}

# receive INBOX FROM SUBJECT TEXT [MORE]: a mail arrives; MORE is further JSON, `"headers":{…}`.
receive() {
    post /sim/receive "{\"inbox_id\":\"$1\",\"to\":[\"$1\"],\"from\":\"$2\",\"subject\":\"$3\",\"text\":\"$4\"${5:+,$5}}"
}

# attachment FILE TYPE: a sample file as JSON.
attachment() {
    printf '"attachments":[{"filename":"%s","content_type":"%s","content":"%s"}]' "$1" "$2" "$(base64 -w0 "$samples/$1")"
}

# ask NAME ARGUMENT…: `mailbus NAME ARGUMENT…` about the state file of this run.
ask() {
    local name=$1
    shift
    "$bin/mailbus" "$name" "$@" --state "$data/$name.db"
}

# until_true WHAT COMMAND…: run it until it succeeds, for a minute at most.
until_true() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 600; tries++)); do
        "$@" && return
        sleep 0.1
    done
    say "still waiting for $what" >&2
    return 1
}

# lines COUNT NAME ARGUMENT…: whether `mailbus NAME ARGUMENT… --json` has so many more lines than before.
declare -A lines_before
note_lines() { lines_before[$1]=$(ask "$@" --json 2>/dev/null | wc -l); }
lines() {
    local count=$1
    shift
    [ "$(ask "$@" --json 2>/dev/null | wc -l)" -ge $((lines_before[$1] + count)) ]
}
suppressed() { ask suppression show "$1" >/dev/null 2>&1; }
bounced() { ask bounces show "$1" --json 2>/dev/null | grep -q '"dead"'; }

complainer=complaint+$stamp@simulator.amazonses.com
bouncer=bounce+$stamp@simulator.amazonses.com

# What the first mail of the one who complains brings about must have happened before the second comes.
send_samples() {
    local decisions=12
    ! runs autoreply || note_lines autoreply history
    ! runs extract || note_lines extract list
    ! runs route || note_lines route history --action sent
    receive support@agentmail.to "Jane Doe <jane.$stamp@example.com>" "Question about my account" "I need help with my password."
    receive sales@agentmail.to "Raj Patel <raj.$stamp@example.com>" "Prices for a team of 20" "What would it cost?"
    receive office@agentmail.to "Ann Lee <ann.$stamp@example.com>" "Lunch on Friday" "No rule matches this one, so nobody answers."
    receive support@agentmail.to "News <news@shop.example>" "Sale: everything must go" "A newsletter gets no answer." \
        '"headers":{"List-Unsubscribe":"<https://shop.example/u>"}'
    receive support@agentmail.to "Out of Office <kim.$stamp@example.com>" "Automatic reply: away" "An automatic mail gets no answer." \
        '"headers":{"Auto-Submitted":"auto-replied"}'
    receive office@agentmail.to "Lea Roth <lea.$stamp@example.com>" "Invoice" "Attached." "$(attachment invoice.pdf application/pdf)"
    receive office@agentmail.to "Tom Ek <tom.$stamp@example.com>" "Scanned letter" "From the copier." "$(attachment scan.pdf application/pdf)"
    receive office@agentmail.to "Mia Sol <mia.$stamp@example.com>" "Billing: charged twice" "My card was charged twice in May."
    receive office@agentmail.to "Ben Ito <ben.$stamp@example.com>" "Bug: export stops at 1000 rows" "It worked last week."
    receive office@agentmail.to "Eva Lund <eva.$stamp@example.com>" "Feature: dark mode" "My eyes would thank you."
    # One mail to an address that is not there, and an answer to somebody who then complains of it.
    post /v0/inboxes/sales%40agentmail.to/messages/send "{\"to\":[\"$bouncer\"],\"subject\":\"Our offer\",\"text\":\"As promised.\"}"
    receive support@agentmail.to "Joe Cross <$complainer>" "Help" "Then he marks the answer as spam."
    if runs suppression && runs autoreply; then
        until_true "the complaint" suppressed "$complainer" || return 1
    fi
    receive sales@agentmail.to "Joe Cross <$complainer>" "Prices" "He is written to no more."
    ! runs autoreply || until_true "mailbus-autoreply" lines $((decisions)) autoreply history || return 1
    ! runs bounces || until_true "mailbus-bounces" bounced "$bouncer" || return 1
    ! runs extract || until_true "mailbus-extract" lines 2 extract list || return 1
    ! runs route || until_true "mailbus-route" lines 3 route history --action sent || return 1
}

# show NAME COMMAND TITLE: what a command of the mailbus program says, and how to ask again.
show() {
    local title=$1
    shift
    say "$title (mailbus $*)"
    ask "$@" | head -n 18 | sed 's/^/    /'
}

show_results() {
    if runs autoreply; then
        say "The replies that went out (GET http://$sim_address/sim/sent)"
        curl -fs "http://$sim_address/sim/sent?format=text"
        show "What mailbus-autoreply decided" autoreply history
    fi
    ! runs bounces || show "Addresses that bounced" bounces list
    ! runs suppression || show "Nobody writes to these any more" suppression list
    if runs extract; then
        show "Attachments, and whether there was text in them" extract list
        show "Found in their text" extract search seats
    fi
    if runs route; then
        show "Where mails were sent on to" route history --action sent
        printf '    wishes are in %s\n' "$data/feature-requests.jsonl"
    fi
}
