#!/usr/bin/env bash
# Prints a service's task definition for ECS, without its image, roles and settings, which `pipe/render-task-definition` puts in.
#   FAMILY=shop-dev-orders LOG_GROUP=/shop-dev/orders AWS_REGION=us-east-1 services/task-definition.sh orders
# A service with a database migrates it before each of its tasks starts; tasks that start together wait for each other there.
set -euo pipefail

service=${1:?usage: task-definition.sh SERVICE}
: "${FAMILY:?}" "${LOG_GROUP:?}" "${AWS_REGION:?}"
[[ $service$FAMILY$LOG_GROUP$AWS_REGION =~ ^[A-Za-z0-9_./-]+$ ]] || { echo "task-definition.sh: only A-Z a-z 0-9 _ . / - can be in names" >&2; exit 2; }

log() {
  printf '"logConfiguration": { "logDriver": "awslogs", "options": { "awslogs-group": "%s", "awslogs-region": "%s", "awslogs-stream-prefix": "%s" } }' \
    "$LOG_GROUP" "$AWS_REGION" "$1"
}

waits= migrate=
if [[ $service != frontend ]]; then
  waits='"dependsOn": [{ "containerName": "migrate", "condition": "SUCCESS" }],'
  migrate=", { \"name\": \"migrate\", \"image\": \"set by the pipeline\", \"command\": [\"migrate\"], \"essential\": false,
      \"readonlyRootFilesystem\": true, $(log migrate) }"
fi

cat <<JSON
{
  "family": "$FAMILY",
  "requiresCompatibilities": ["FARGATE"],
  "networkMode": "awsvpc",
  "cpu": "256",
  "memory": "512",
  "runtimePlatform": { "operatingSystemFamily": "LINUX", "cpuArchitecture": "X86_64" },
  "containerDefinitions": [
    { "name": "$service", "image": "set by the pipeline", "essential": true, "readonlyRootFilesystem": true, $waits
      "portMappings": [{ "containerPort": 8080, "protocol": "tcp" }],
      $(log app) }$migrate
  ]
}
JSON
