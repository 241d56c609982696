#!/usr/bin/env bash
# The last part of `make demo`: a service goes to ECS in steps of 10, 50 and 100 % while it is asked all the time. AWS is the stand-in of
# tests/fake-aws, with real containers and real requests behind it; everything of it ends with this script.
# Usage: demo-aws.sh PATH_TO_PIPE PATH_TO_FAKE_AWS [IMAGE]     the newest of the frontend's without one
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
pipe=$(realpath "$1") fake=$(realpath "$2")
image=${3:-$(docker images shop/frontend --format '{{.Repository}}:{{.Tag}}' | head -n 1)}
folder=$(mktemp -d)
# shellcheck source=scripts/demo/lib.sh
source scripts/demo/lib.sh

asking=
trap '[[ -z $asking ]] || kill "$asking" 2>/dev/null; eval "exec ${AWS_DEMO[1]:-9}>&-"; wait; rm -rf "$folder"' EXIT

title "6 of 6: the same on AWS: into ECR by its digest, and to ECS in steps of 10, 50 and 100 %"
# It ends with its input, however this script ends.
coproc AWS_DEMO { "$fake" --containers --speed 20; }
exec 4<&"${AWS_DEMO[0]}"
while read -r line <&4 && [[ -n $line ]]; do export "${line?}"; done
[[ -n ${AWS_ENDPOINT_URL:-} ]] || fail "the stand-in for AWS did not start"

# A call of AWS. ELBv2 speaks forms, ECS and ECR speak JSON.
call() {
    curl --fail-with-body --silent --show-error --aws-sigv4 "aws:amz:$AWS_REGION:$1" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "${@:2}" "$AWS_ENDPOINT_URL/"
}
json() { call "$1" --header "Content-Type: application/x-amz-json-1.1" --header "X-Amz-Target: $2" --data "$3"; }
form() { call elasticloadbalancing --data-urlencode "Action=$1" --data-urlencode Version=2015-12-01 "${@:2}" | tr -d '\n'; }
part() { sed -n "s/.*<$1>\([^<]*\)<\/$1>.*/\1/p"; }
ecs() { json ecs "AmazonEC2ContainerServiceV20141113.$1" "$2" >/dev/null; }

group() {
    form CreateTargetGroup --data-urlencode "Name=frontend-$1" -d Protocol=HTTP -d Port=8080 -d TargetType=ip -d VpcId=vpc-1 -d HealthCheckPath=/health \
        -d HealthCheckIntervalSeconds=5 -d HealthyThresholdCount=2 -d UnhealthyThresholdCount=2 | part TargetGroupArn
}
ecs CreateCluster '{"clusterName": "shop"}'
json ecr AmazonEC2ContainerRegistry_V20150921.CreateRepository '{"repositoryName": "shop/frontend", "imageTagMutability": "IMMUTABLE"}' >/dev/null
a=$(group a) b=$(group b)
balancer=$(form CreateLoadBalancer -d Name=shop -d Subnets.member.1=subnet-1 | part LoadBalancerArn)
target=DefaultActions.member.1.ForwardConfig.TargetGroups.member
listener=$(form CreateListener --data-urlencode "LoadBalancerArn=$balancer" -d Protocol=HTTP -d Port=80 -d DefaultActions.member.1.Type=forward \
    --data-urlencode "$target.1.TargetGroupArn=$a" -d "$target.1.Weight=100" --data-urlencode "$target.2.TargetGroupArn=$b" -d "$target.2.Weight=0" | part ListenerArn)
ecs RegisterTaskDefinition '{"family": "frontend", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
    "containerDefinitions": [{"name": "frontend", "image": "'"$image"'", "environment": [{"name": "GIT_SHA", "value": "v1"}], "portMappings": [{"containerPort": 8080}]}]}'
for slot in a:1 b:0; do
    arn=${slot%%:*}
    ecs CreateService '{"cluster": "shop", "serviceName": "frontend-'"$arn"'", "taskDefinition": "frontend", "desiredCount": '"${slot#*:}"', "launchType": "FARGATE", "healthCheckGracePeriodSeconds": 900,
        "loadBalancers": [{"targetGroupArn": "'"${!arn}"'", "containerName": "frontend", "containerPort": 8080}],
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}}'
done
address() { curl --silent "$AWS_ENDPOINT_URL/_fake/listeners" | sed -n 's/.*"\(127[^"]*\)".*/\1/p' | head -n 1; }
version() { curl --silent --fail --max-time 5 --write-out '\n' "http://$1/health" | sed -n 's/.*"version":"\([^"]*\)".*/\1/p'; }
for _ in {1..300}; do
    users=$(address)
    [[ -z $users || $(version "$users") != v1 ]] || break
    sleep 0.1
done
[[ $(version "$users") == v1 ]] || fail "the first version does not answer at $users"

(while :; do version "$users" || echo "failed at $(date +%T): curl $?"; sleep 0.02; done) >"$folder/answers" &
asking=$!
begun=$SECONDS
"$pipe" run workflow_dispatch -W scripts/demo/aws.yml --quiet --var "IMAGE=$image" --var "LISTENER=$listener" --var "SHOP_URL=http://$users" \
    --var "AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL" --var "AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID" --var "AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY" \
    --var "AWS_REGION=$AWS_REGION" || fail "the deployment to ECS failed"
took=$((SECONDS - begun))
kill "$asking" && wait "$asking" 2>/dev/null || true
asking=
count() { grep --count --line-regexp "$1" "$folder/answers" || true; }
[[ $(version "$users") == v2 ]] || fail "users do not have the new version"
grep --line-regexp --invert-match 'v[12]' "$folder/answers" || true
expect "$(grep --count --line-regexp --invert-match 'v[12]' "$folder/answers" || true)" 0 "requests that failed"
expect_more "$(count v1)" 0 "answers of the old version"
expect_more "$(count v2)" 0 "answers of the new version"
told "on ECS in $took s: $(count v1) answers by the old version, $(count v2) by the new one, none failed"
