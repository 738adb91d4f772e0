//! TenantClasses that the API server is asked to take, and the answers that must come back.

use serde_json::{Value, json};

use crate::cases::Answer::{self, Accepted, Refused};
use crate::cases::{CHARS_64, UUID, class};

pub fn classes(case: &mut dyn FnMut(&'static str, Value, Answer)) {
    let none = || json!({});
    case("a class", class(none(), none()), Accepted);
    case(
        "every field of a class",
        class(
            json!({
                "prefix": "prod/eu", "endpoint": "https://s3.roost-s3.svc:443", "region": "us-east-1",
                "pathStyle": true, "caSecretRef": {"name": "s3-ca"}, "adoptFrom": [UUID],
                "putBudget": {"burst": 20, "perSecond": 2},
                "egress": [{"cidr": "10.0.0.0/8", "ports": [443, 8333]}, {"namespace": "roost-s3"}]
            }),
            json!({
                "runtime": {
                    "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"memory": "2Gi"}},
                    "cacheSize": "10Gi", "nodeSelector": {"kubernetes.io/arch": "amd64"},
                    "tolerations": [{"key": "db", "operator": "Exists", "effect": "NoSchedule"}],
                    "runtimeClassName": "gvisor", "terminationGracePeriod": "120s"
                },
                "engine": {"memoryLimit": "75%", "threads": 2, "settings": {"TimeZone": "Europe/Prague"}},
                "idle": {"timeout": "5m", "min": "30s", "max": "24h"},
                "durability": "Asynchronous", "recoveryWindow": "168h",
                "limits": {"active": 500, "statementTimeout": "10m"}
            }),
        ),
        Accepted,
    );
    let mut long = class(none(), none());
    long["metadata"]["name"] = json!(CHARS_64);
    case("a class named 64", long, Refused("at most 63 characters"));
    case("no credentials", class(json!({"credentials": {}}), none()), Refused("write secretRef"));
    case("a prefix with a slash at its end", class(json!({"prefix": "prod/"}), none()), Refused("prefix"));
    case("a prefix that climbs", class(json!({"prefix": "a/../b"}), none()), Refused("prefix"));
    case(
        "an endpoint with a path",
        class(json!({"endpoint": "https://h/bucket"}), none()),
        Refused("endpoint"),
    );
    case(
        "an endpoint with a password",
        class(json!({"endpoint": "https://u:p@h"}), none()),
        Refused("endpoint"),
    );
    case(
        "egress to nothing",
        class(json!({"egress": [{}]}), none()),
        Refused("exactly one of cidr and namespace"),
    );
    case(
        "egress to two",
        class(json!({"egress": [{"cidr": "10.0.0.0/8", "namespace": "a"}]}), none()),
        Refused("exactly one of cidr and namespace"),
    );
    case(
        "egress to no range",
        class(json!({"egress": [{"cidr": "10.0.0.300/8"}]}), none()),
        Refused("write it like 10.20.0.0/16"),
    );
    case(
        "egress to a wide port",
        class(json!({"egress": [{"namespace": "a", "ports": [70000]}]}), none()),
        Refused("65535"),
    );
    case(
        "idle timeout below min",
        class(none(), json!({"idle": {"timeout": "10s", "min": "30s"}})),
        Refused("raise timeout or lower min"),
    );
    case(
        "idle timeout above max",
        class(none(), json!({"idle": {"timeout": "2h", "max": "90m"}})),
        Refused("lower timeout or raise max"),
    );
    case(
        "idle min above max",
        class(none(), json!({"idle": {"min": "2h", "max": "1h59m59s"}})),
        Refused("lower min or raise max"),
    );
    case(
        "equal idle bounds",
        class(none(), json!({"idle": {"timeout": "60m", "min": "1h", "max": "3600s"}})),
        Accepted,
    );
    let allowed = |selector: Value| class(json!({}), json!({"allowedNamespaces": selector}));
    let one = |requirement: Value| json!({"matchExpressions": [requirement]});
    for selector in [
        none(),
        json!({"matchLabels": {"team": "gold", "example.com/tier": ""}}),
        one(json!({"key": "team", "operator": "In", "values": ["gold"]})),
        one(json!({"key": "team", "operator": "NotIn", "values": ["gold", "silver"]})),
        one(json!({"key": "team", "operator": "Exists"})),
        one(json!({"key": "team", "operator": "DoesNotExist", "values": []})),
    ] {
        case("namespaces by their labels", allowed(selector), Accepted);
    }
    for operator in ["In", "NotIn"] {
        let bare = one(json!({"key": "team", "operator": operator}));
        case("nothing to compare with", allowed(bare), Refused("write values for the former only"));
    }
    for (what, selector, refused) in [
        (
            "a value that is not looked at",
            one(json!({"key": "team", "operator": "Exists", "values": ["gold"]})),
            "write values for the former only",
        ),
        (
            "an operator that is none",
            one(json!({"key": "team", "operator": "Gt", "values": ["1"]})),
            "operator",
        ),
        (
            "17 requirements",
            json!({"matchExpressions": vec![json!({"key": "a", "operator": "Exists"}); 17]}),
            "16",
        ),
        ("65 values", one(json!({"key": "a", "operator": "In", "values": vec!["v"; 65]})), "64"),
        ("a label's long value", json!({"matchLabels": {"team": CHARS_64}}), "63"),
        (
            "a long name of a namespace's label",
            json!({"matchLabels": {"x".repeat(318): "1"}}),
            "names of labels have at most 317 characters",
        ),
    ] {
        case(what, allowed(selector), Refused(refused));
    }
    case(
        "a setting that opens files",
        class(none(), json!({"engine": {"settings": {"enable_external_access": "true"}}})),
        Refused("only these settings can be set for a class"),
    );
    case("all of memory", class(none(), json!({"engine": {"memoryLimit": "100%"}})), Refused("memoryLimit"));
    case("no threads", class(none(), json!({"engine": {"threads": 0}})), Refused("threads"));
    case(
        "a resource's long name",
        class(none(), json!({"runtime": {"resources": {"limits": {CHARS_64: "1"}}}})),
        Refused("names of resources have at most 63 characters"),
    );
    case(
        "a label's long name",
        class(none(), json!({"runtime": {"nodeSelector": {"x".repeat(317): "1"}}})),
        Refused("names of labels have at most 316 characters"),
    );
    case(
        "an amount without sense",
        class(none(), json!({"runtime": {"cacheSize": "much"}})),
        Refused("cacheSize"),
    );
}
