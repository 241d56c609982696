# Each operation that deployments use, once, by boto3: its parsers and validators are AWS's own.
import json, os, urllib.request
import boto3, botocore.exceptions

endpoint = os.environ["AWS_ENDPOINT_URL"]
sts, iam, ecr, ecs, elb, cw, cd = (
    boto3.client(name, endpoint_url=endpoint)
    for name in ("sts", "iam", "ecr", "ecs", "elbv2", "cloudwatch", "codedeploy")
)

def advance(text):
    body = json.dumps({"advance": text}).encode()
    urllib.request.urlopen(urllib.request.Request(endpoint + "/_fake/clock", body)).read()

def refused(code, call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        return error.response
    raise AssertionError(f"{call} was not refused with {code}")

account = sts.get_caller_identity()["Account"]
trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": account}}]}
role = iam.create_role(RoleName="deploy", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
session = sts.assume_role(RoleArn=role, RoleSessionName="pipe")["Credentials"]
assert session["Expiration"].year > 2020
as_role = boto3.client(
    "sts", endpoint_url=endpoint, aws_access_key_id=session["AccessKeyId"],
    aws_secret_access_key=session["SecretAccessKey"], aws_session_token=session["SessionToken"],
)
assert as_role.get_caller_identity()["Arn"].endswith("assumed-role/deploy/pipe")
refused("AccessDenied", sts.assume_role, RoleArn="arn:aws:iam::1:role/none", RoleSessionName="pipe")

ecr.create_repository(repositoryName="shop/orders", imageTagMutability="IMMUTABLE")
refused("RepositoryAlreadyExistsException", ecr.create_repository, repositoryName="shop/orders")
upload = ecr.initiate_layer_upload(repositoryName="shop/orders")["uploadId"]
ecr.upload_layer_part(repositoryName="shop/orders", uploadId=upload, partFirstByte=0, partLastByte=1, layerPartBlob=b"{}")
blob = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
ecr.complete_layer_upload(repositoryName="shop/orders", uploadId=upload, layerDigests=[blob])
ecr.batch_check_layer_availability(repositoryName="shop/orders", layerDigests=[blob])
part = {"mediaType": "application/json", "digest": blob, "size": 2}
manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": part, "layers": [part]})
digest = ecr.put_image(repositoryName="shop/orders", imageManifest=manifest, imageTag="v1")["image"]["imageId"]["imageDigest"]
assert ecr.describe_images(repositoryName="shop/orders")["imageDetails"][0]["imageDigest"] == digest
ecr.batch_get_image(repositoryName="shop/orders", imageIds=[{"imageDigest": digest}])
ecr.list_images(repositoryName="shop/orders")
ecr.get_authorization_token()
ecr.put_replication_configuration(replicationConfiguration={"rules": [{"destinations": [{"region": "us-west-2", "registryId": account}]}]})
ecr.describe_image_replication_status(repositoryName="shop/orders", imageId={"imageTag": "v1"})

groups = {}
for name in ("blue", "green"):
    made = elb.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId="vpc-1", TargetType="ip", HealthCheckPath="/health", HealthCheckIntervalSeconds=5)
    groups[name] = made["TargetGroups"][0]["TargetGroupArn"]
    elb.modify_target_group_attributes(TargetGroupArn=groups[name], Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}])
balancer = elb.create_load_balancer(Name="shop", Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
forward = [{"Type": "forward", "TargetGroupArn": groups["blue"]}]
listener = elb.create_listener(LoadBalancerArn=balancer, Port=80, Protocol="HTTP", DefaultActions=forward)["Listeners"][0]["ListenerArn"]
pair = [{"TargetGroupArn": groups["blue"], "Weight": 90}, {"TargetGroupArn": groups["green"], "Weight": 10}]
split = [{"Type": "forward", "ForwardConfig": {"TargetGroups": pair}}]
told = elb.modify_listener(ListenerArn=listener, DefaultActions=split)["Listeners"][0]["DefaultActions"][0]
assert [one["Weight"] for one in told["ForwardConfig"]["TargetGroups"]] == [90, 10]
rule = elb.create_rule(ListenerArn=listener, Priority=5, Conditions=[{"Field": "path-pattern", "Values": ["/orders/*"]}], Actions=split)["Rules"][0]["RuleArn"]
elb.modify_rule(RuleArn=rule, Actions=forward)
assert len(elb.describe_rules(ListenerArn=listener)["Rules"]) == 2
elb.delete_rule(RuleArn=rule)
elb.modify_listener(ListenerArn=listener, DefaultActions=forward)
elb.describe_listeners(LoadBalancerArn=balancer)
elb.describe_load_balancers(Names=["shop"])
elb.describe_target_groups(LoadBalancerArn=balancer)
refused("TargetGroupNotFound", elb.describe_target_health, TargetGroupArn=groups["blue"] + "x")
refused("ResourceInUse", elb.delete_target_group, TargetGroupArn=groups["blue"])

ecs.create_cluster(clusterName="shop")
def define(image):
    container = {"name": "app", "image": image, "portMappings": [{"containerPort": 8080}]}
    made = ecs.register_task_definition(
        family="orders", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
        containerDefinitions=[container], tags=[{"key": "pipe:deployment", "value": "7"}],
    )
    return made["taskDefinition"]["taskDefinitionArn"]
first = define("shop/orders@" + digest)
assert ecs.describe_task_definition(taskDefinition="orders", include=["TAGS"])["tags"]
network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "DISABLED"}}
balanced = [{"targetGroupArn": groups["blue"], "containerName": "app", "containerPort": 8080}]
ecs.create_service(
    cluster="shop", serviceName="orders", taskDefinition=first, desiredCount=2, launchType="FARGATE", loadBalancers=balanced,
    networkConfiguration=network, deploymentController={"type": "CODE_DEPLOY"}, clientToken="one",
)
advance("30s")
healthy = elb.describe_target_health(TargetGroupArn=groups["blue"])["TargetHealthDescriptions"]
assert [one["TargetHealth"]["State"] for one in healthy] == ["healthy"] * 2, healthy
arns = ecs.list_tasks(cluster="shop", serviceName="orders")["taskArns"]
assert ecs.describe_tasks(cluster="shop", tasks=arns)["tasks"][0]["lastStatus"] == "RUNNING"
refused("InvalidParameterException", ecs.update_service, cluster="shop", service="orders", taskDefinition=first)

alarm = dict(
    AlarmName="orders-5xx", Namespace="Shop", MetricName="Errors", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=5.0,
    ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching", Dimensions=[{"Name": "Service", "Value": "orders"}],
)
cw.put_metric_alarm(**alarm)
cw.put_metric_data(Namespace="Shop", MetricData=[{"MetricName": "Latency", "Values": [0.1, 0.2], "Counts": [9.0, 1.0]}])
advance("1s")
assert cw.describe_alarms(AlarmNames=["orders-5xx"])["MetricAlarms"][0]["StateValue"] == "OK"
now = cw.describe_alarms()["MetricAlarms"][0]["StateUpdatedTimestamp"].timestamp()
query = {"Id": "p", "MetricStat": {"Metric": {"Namespace": "Shop", "MetricName": "Latency"}, "Period": 60, "Stat": "p95"}}
values = cw.get_metric_data(MetricDataQueries=[query], StartTime=now - 300, EndTime=now + 300)["MetricDataResults"][0]["Values"]
assert values == [0.2], values
points = cw.get_metric_statistics(Namespace="Shop", MetricName="Latency", StartTime=now - 300, EndTime=now + 300, Period=60, Statistics=["SampleCount", "Average"])
assert points["Datapoints"][0]["SampleCount"] == 10.0, points
refused("ResourceNotFound", cw.set_alarm_state, AlarmName="none", StateValue="OK", StateReason="x")

cd.create_application(applicationName="shop", computePlatform="ECS")
cd.create_deployment_group(
    applicationName="shop", deploymentGroupName="orders", serviceRoleArn=role,
    deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes",
    deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
    ecsServices=[{"serviceName": "orders", "clusterName": "shop"}],
    alarmConfiguration={"enabled": True, "alarms": [{"name": "orders-5xx"}]},
    autoRollbackConfiguration={"enabled": True, "events": ["DEPLOYMENT_FAILURE"]},
    blueGreenDeploymentConfiguration={
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 5},
        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
    },
    loadBalancerInfo={"targetGroupPairInfoList": [{
        "targetGroups": [{"name": "blue"}, {"name": "green"}], "prodTrafficRoute": {"listenerArns": [listener]},
    }]},
)
cd.get_deployment_group(applicationName="shop", deploymentGroupName="orders")
cd.get_deployment_config(deploymentConfigName="CodeDeployDefault.ECSLinear10PercentEvery1Minutes")
def deploy(definition):
    spec = {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
        "TaskDefinition": definition, "LoadBalancerInfo": {"ContainerName": "app", "ContainerPort": 8080}}}}]}
    revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(spec)}}
    return dict(applicationName="shop", deploymentGroupName="orders", revision=revision)
second = define("app:2")
deployment = cd.create_deployment(**deploy(second))["deploymentId"]
refused("DeploymentLimitExceededException", cd.create_deployment, **deploy(second))
advance("20s")
assert cd.list_deployment_targets(deploymentId=deployment)["targetIds"] == ["shop:orders"]
target = cd.get_deployment_target(deploymentId=deployment, targetId="shop:orders")["deploymentTarget"]["ecsTarget"]
assert [one["trafficWeight"] for one in target["taskSetsInfo"]] == [90.0, 10.0], target
cd.batch_get_deployment_targets(deploymentId=deployment, targetIds=["shop:orders"])
cd.stop_deployment(deploymentId=deployment, autoRollbackEnabled=True)
advance("10s")
info = cd.get_deployment(deploymentId=deployment)["deploymentInfo"]
assert info["status"] == "Stopped" and info["rollbackInfo"]["rollbackTriggeringDeploymentId"] == deployment, info
assert len(cd.list_deployments(applicationName="shop", deploymentGroupName="orders")["deployments"]) == 2
cd.batch_get_deployments(deploymentIds=[deployment, info["rollbackInfo"]["rollbackDeploymentId"]])
refused("DeploymentDoesNotExistException", cd.get_deployment, deploymentId="d-000000000")

ecs.create_service(cluster="shop", serviceName="external", desiredCount=2, deploymentController={"type": "EXTERNAL"})
made = ecs.create_task_set(
    cluster="shop", service="external", taskDefinition=second, externalId="7", clientToken="t", launchType="FARGATE",
    networkConfiguration=network, scale={"value": 50.0, "unit": "PERCENT"},
)["taskSet"]
ecs.update_service_primary_task_set(cluster="shop", service="external", primaryTaskSet=made["id"])
ecs.update_task_set(cluster="shop", service="external", taskSet=made["id"], scale={"value": 100.0, "unit": "PERCENT"})
ecs.describe_task_sets(cluster="shop", service="external")
ecs.delete_task_set(cluster="shop", service="external", taskSet=made["id"], force=True)

ecs.create_service(
    cluster="shop", serviceName="native", taskDefinition=first, desiredCount=1, networkConfiguration=network,
    deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1, "lifecycleHooks": [
        {"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]}]},
)
advance("10s")
ecs.update_service(cluster="shop", service="native", taskDefinition=second)
advance("10s")
listed = ecs.list_service_deployments(cluster="shop", service="native", status=["IN_PROGRESS"])["serviceDeployments"]
described = ecs.describe_service_deployments(serviceDeploymentArns=[listed[0]["serviceDeploymentArn"]])["serviceDeployments"][0]
ecs.describe_service_revisions(serviceRevisionArns=[described["targetServiceRevision"]["arn"]])
hook = described["lifecycleHookDetails"][0]
assert hook["status"] == "AWAITING_ACTION", described
ecs.continue_service_deployment(serviceDeploymentArn=described["serviceDeploymentArn"], hookId=hook["hookId"], action="CONTINUE")
advance("5m")
described = ecs.describe_service_deployments(serviceDeploymentArns=[described["serviceDeploymentArn"]])["serviceDeployments"][0]
assert described["status"] == "SUCCESSFUL", described
ecs.describe_services(cluster="shop", services=["orders", "external", "native"])
ecs.run_task(cluster="shop", taskDefinition=first, networkConfiguration=network, clientToken="r")
ecs.delete_service(cluster="shop", service="native", force=True)
secrets, ssm, sns, logs = (boto3.client(name, endpoint_url=endpoint) for name in ("secretsmanager", "ssm", "sns", "logs"))
secret = secrets.create_secret(Name="db", SecretString="x")["ARN"]
assert secrets.get_secret_value(SecretId="db")["SecretString"] == "x"
assert secrets.describe_secret(SecretId=secret)["Name"] == "db"
refused("ResourceNotFoundException", secrets.get_secret_value, SecretId="none")
ssm.put_parameter(Name="/shop/db", Value="y", Type="SecureString")
assert ssm.get_parameter(Name="/shop/db", WithDecryption=True)["Parameter"]["Value"] == "y"
assert ssm.get_parameters(Names=["/shop/db", "/none"])["InvalidParameters"] == ["/none"]
refused("ParameterNotFound", ssm.get_parameter, Name="/none")
topic = sns.create_topic(Name="deployments")["TopicArn"]
assert sns.publish(TopicArn=topic, Message="hello")["MessageId"]
refused("NotFound", sns.publish, TopicArn=topic + "x", Message="hello")
refused("ResourceNotFoundException", logs.get_log_events, logGroupName="/shop", logStreamName="app/app/0")
print("the tour is over")
