#!/usr/bin/env bash
# The second half of `make demo`: a server hears of pushes to a bare repository, and takes the shop from its files to its
# users, three times. What it makes stays until `make demo-stop` or the next demo, which begins anew.
# Usage: demo-server.sh PATH_TO_PIPE FOLDER     all that the demo keeps lies in FOLDER
#        demo-server.sh stop FOLDER
# At a terminal it waits for whoever sits there to approve production (PIPE_DEMO_APPROVE=yes approves without asking).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=$2
mkdir -p "$folder"
folder=$(realpath "$folder")
source scripts/demo/lib.sh

if [[ $1 == stop ]]; then
    stop
    exit
fi
pipe=$(realpath "$1")
stop
begin
trap 'end $?' EXIT

title "1 of 6: the shop as it is goes out: dev, staging, and production once somebody approves"
deploy first HEAD
expect_versions v1
echo "The shop is there: http://127.0.0.1:$PRODUCTION_PORT"

title "2 of 6: a better version of orders goes out under load, in steps of 10, 50 and 100 %"
commit v2 "orders: no cache keeps what somebody ordered"
deploy v2 v2
load_ends v2
"$pipe" deploy explain production --service orders "${ask[@]}"
expect_outcome succeeded
expect_weights "10 50 100"
expect_versions v2
expect "$(figure failed)" 0 "requests that failed"
expect "$(figure unexpected)" 0 "answers that nobody expected"
expect_more "$(of_version v1 requests)" 0 "orders that the old version took"
expect_more "$(of_version v2 requests)" 0 "orders that the new version took"
told "$(figure requests) requests, $(figure failed) failed. Of the orders the old version took $(of_version v1 requests) and" \
    "the new one $(of_version v2 requests); half of all answers came within $(figure milliseconds.p50) ms, 99 % within $(figure milliseconds.p99) ms"

title "3 of 6: a version with a bug goes out: it fails for addresses with a plus, which 15 % of the buyers have"
commit v3 "orders: the log says who ordered"
deploy v3 v3 rolled-back
load_ends v3
expect_outcome rolled-back
expect_weights "10"
expect_versions v2
bad=$(of_version v3 failed)
expect_more "$bad" 0 "orders that failed by the new version"
expect "$(figure failed)" "$bad" "requests that failed, all of them by the new version"
expect "$(of_version v2 failed)" 0 "orders that failed by the old version"
told "caught at 10 % and rolled back by itself: $(figure requests) requests, $bad failed, which are" \
    "$(percent "$bad" "$(of_version v3 requests)") of the $(of_version v3 requests) that the new version took"
told "why: $(rollout words)"
"$pipe" deploy explain production --service orders "${ask[@]}"

title "4 of 6: a feature is switched on, without a deployment"
expect_page "Place the order" "the checkout in one step"
services/environment.sh flag production new-checkout on
expect_page "To the checkout" "the checkout in two steps"
expect_versions v2
told "the next visitors had the new checkout, by the containers that were running"

title "5 of 6: somebody takes the better version back by hand"
dispatch rollback.yml --input environment=production --input service=orders --input reason="the demo ends here"
expect_outcome succeeded
expect_weights "100"
expect_versions v1
told "production has the first version again, from the image that was built and approved then"

where_to_look
