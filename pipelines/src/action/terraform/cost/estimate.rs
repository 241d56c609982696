//! What a month of one resource costs.

use serde_json::Value as Json;

use super::table::Region;

/// Zones of a database with a standby.
const ZONES: f64 = 2.0;
/// Units of CPU of a whole one.
const CPU_UNITS: f64 = 1024.0;
/// MiB of a GB, as Fargate counts.
const MEBIBYTES: f64 = 1024.0;

/// What is known of a resource's cost.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Estimate {
    /// There is no such resource.
    Nothing,
    /// Its price.
    Priced {
        /// What was counted.
        what: String,
        /// A month of it.
        month: f64,
    },
    /// Why there is no price.
    Unpriced(String),
}

/// A resource as it is on one side: its values, and which side that is.
type Side<'a> = (&'a Json, &'a str);

/// A month of a resource.
pub(super) fn estimate(plan: &Json, resource: &Json, side: Side<'_>, region: Option<&Region>, hours: f64) -> Estimate {
    let kind = resource["type"].as_str().unwrap_or_default();
    let Some(region) = region else { return Estimate::Unpriced("no prices of its region".to_owned()) };
    let values = side.0;
    let hourly = |price: Option<f64>, count: f64, what: String| match price {
        Some(price) => Estimate::Priced { what, month: price * count * hours },
        None => Estimate::Unpriced(format!("no price of {what}")),
    };
    match kind {
        "aws_ecs_service" => service(plan, resource, side, region, hours),
        "aws_db_instance" => database(values, region, hours),
        "aws_lb" | "aws_alb" => {
            let kind = values["load_balancer_type"].as_str().unwrap_or("application");
            hourly(region.balancer_hour.get(kind).copied(), 1.0, format!("{kind} load balancer, idle"))
        }
        "aws_nat_gateway" => hourly(region.nat_gateway_hour, 1.0, "NAT gateway, idle".to_owned()),
        "aws_eip" => hourly(region.address_hour, 1.0, "public address".to_owned()),
        "aws_cloudwatch_metric_alarm" => match region.alarm_month {
            Some(month) => Estimate::Priced { what: "alarm".to_owned(), month },
            None => Estimate::Unpriced("no price of an alarm".to_owned()),
        },
        "aws_vpc_endpoint" => endpoint(resource, side, region, hours),
        _ => Estimate::Unpriced("by usage, or not in the table".to_owned()),
    }
}

fn endpoint(resource: &Json, (values, side): Side<'_>, region: &Region, hours: f64) -> Estimate {
    if values["vpc_endpoint_type"].as_str().unwrap_or("Gateway") == "Gateway" {
        return Estimate::Nothing;
    }
    let later = side == "after" && resource["change"]["after_unknown"]["subnet_ids"] == Json::Bool(true);
    // Which subnets is known once they are made; how many often is already.
    let unknown = &resource["change"]["after_unknown"]["subnet_ids"];
    let count = values["subnet_ids"].as_array().or(unknown.as_array()).map(Vec::len).filter(|count| *count > 0);
    match (region.endpoint_hour, count) {
        (Some(price), Some(zones)) => Estimate::Priced {
            what: format!("endpoint in {zones} zones"),
            month: price * hours * f64::from(u32::try_from(zones).unwrap_or(u32::MAX)),
        },
        (Some(_), None) if later => Estimate::Unpriced("its zones are known later".to_owned()),
        (Some(_), None) => Estimate::Unpriced("it names no subnets".to_owned()),
        (None, _) => Estimate::Unpriced("no price of an endpoint".to_owned()),
    }
}

fn database(values: &Json, region: &Region, hours: f64) -> Estimate {
    let engine = values["engine"].as_str().unwrap_or("postgres");
    let class = values["instance_class"].as_str().unwrap_or_default();
    let Some(hour) = region.database_hour.get(engine).and_then(|classes| classes.get(class)) else {
        return Estimate::Unpriced(format!("no price of {engine} on {class}"));
    };
    let storage = values["storage_type"].as_str().unwrap_or("gp2");
    let gigabytes = values["allocated_storage"].as_f64().unwrap_or(0.0);
    let Some(month) = region.database_gb_month.get(storage) else {
        return Estimate::Unpriced(format!("no price of {storage} storage"));
    };
    let has_standby = values["multi_az"] == Json::Bool(true);
    let zones = if has_standby { ZONES } else { 1.0 };
    let place = if has_standby { "in two zones" } else { "in one zone" };
    Estimate::Priced {
        what: format!("{engine} on {class} {place}, {gigabytes} GB of {storage}"),
        month: (hour * hours + gigabytes * month) * zones,
    }
}

fn service(plan: &Json, resource: &Json, side: Side<'_>, region: &Region, hours: f64) -> Estimate {
    let values = side.0;
    let providers = values["capacity_provider_strategy"].as_array().map(Vec::as_slice).unwrap_or_default();
    let all = |name: &str| !providers.is_empty() && providers.iter().all(|one| one["capacity_provider"] == name);
    let launch = values["launch_type"].as_str();
    if launch.unwrap_or("FARGATE") != "FARGATE" || launch.is_none() && !all("FARGATE") {
        let words = if providers.iter().any(|one| one["capacity_provider"] == "FARGATE_SPOT") {
            "spot capacity has no fixed price"
        } else {
            "it does not run on Fargate"
        };
        return Estimate::Unpriced(words.to_owned());
    }
    let Some(count) = values["desired_count"].as_f64() else {
        return Estimate::Unpriced("how many tasks is not known".to_owned());
    };
    if count == 0.0 {
        return Estimate::Nothing;
    }
    let Some(task) = task_definition(plan, resource, side) else {
        return Estimate::Unpriced("its task definition is not in the plan".to_owned());
    };
    let number = |name: &str| task[name].as_f64().or_else(|| task[name].as_str()?.parse().ok());
    let (Some(cpu), Some(memory)) = (number("cpu"), number("memory")) else {
        return Estimate::Unpriced("its task definition has no cpu and memory".to_owned());
    };
    let architecture = task["runtime_platform"][0]["cpu_architecture"].as_str().unwrap_or("X86_64");
    let prices = (region.fargate_vcpu_hour.get(architecture), region.fargate_gb_hour.get(architecture));
    let (Some(vcpu_hour), Some(gb_hour)) = prices else {
        return Estimate::Unpriced(format!("no price of {architecture}"));
    };
    let (vcpu, gigabytes) = (cpu / CPU_UNITS, memory / MEBIBYTES);
    Estimate::Priced {
        what: format!("{count} × {vcpu} vCPU, {gigabytes} GB on Fargate"),
        month: count * (vcpu * vcpu_hour + gigabytes * gb_hour) * hours,
    }
}

/// The task definition of a service: by its ARN, or, where that is known later, by what the configuration refers to.
fn task_definition<'a>(plan: &'a Json, resource: &Json, (values, side): Side<'_>) -> Option<&'a Json> {
    let all = || {
        let resources = plan["resource_changes"].as_array().into_iter().flatten();
        resources.filter(|other| other["type"] == "aws_ecs_task_definition")
    };
    let arn = values["task_definition"].as_str();
    let by_arn = all().find(|other| arn.is_some() && other["change"][side]["arn"].as_str() == arn);
    let found = by_arn.or_else(|| {
        let module = module_of(resource);
        let name = referred(plan, resource, "task_definition")?;
        let same: Vec<&Json> = all().filter(|other| module_of(other) == module && other["name"] == *name).collect();
        let twin = same.iter().find(|other| other["index"] == resource["index"]).copied();
        // `blue["orders"]` and `green["orders"]` may share one without a number, or the only one.
        twin.or(if let [only] = same.as_slice() { Some(*only) } else { None })
    })?;
    Some(&found["change"][side]).filter(|values| !values.is_null())
}

fn module_of(resource: &Json) -> &str {
    resource["module_address"].as_str().unwrap_or_default()
}

/// The name of the task definition that an expression of the configuration refers to, in the resource's own module.
fn referred(plan: &Json, resource: &Json, attribute: &str) -> Option<String> {
    let mut module = &plan["configuration"]["root_module"];
    for name in module_names(module_of(resource)) {
        module = &module["module_calls"][name]["module"];
    }
    let mut resources = module["resources"].as_array()?.iter();
    let found = resources.find(|one| one["type"] == resource["type"] && one["name"] == resource["name"])?;
    let references = found["expressions"][attribute]["references"].as_array()?;
    let name = references.iter().find_map(|one| one.as_str()?.strip_prefix("aws_ecs_task_definition."))?;
    name.split(['.', '[']).next().map(str::to_owned)
}

/// `module.a["x.y"].module.b[0]` → `a`, `b`.
fn module_names(address: &str) -> Vec<String> {
    let (mut names, mut rest) = (Vec::new(), address);
    while let Some(from) = rest.strip_prefix("module.") {
        let end = from.find(['.', '[']).unwrap_or(from.len());
        names.push(from[..end].to_owned());
        rest = &from[end..];
        if let Some(key) = rest.strip_prefix("[\"") {
            rest = key.split_once("\"]").map_or("", |(_, rest)| rest);
        } else if let Some(key) = rest.strip_prefix('[') {
            rest = key.split_once(']').map_or("", |(_, rest)| rest);
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    names
}
