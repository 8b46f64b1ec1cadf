//! What must not show: the CDE's token and bodies in a trace, the collector's own secrets in a log.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use crate::traces::collector::Collector;
use cde_harness::{Kind, TestEnv};

const TOKEN: &str = "canary-token-9b2c";
/// Stands in bodies only.
const BODY: &str = "canary-body-41d7";
/// For the collector.
const KEY: &str = "canary-key-f00d";

#[tokio::test]
async fn neither_the_token_nor_a_body_is_in_a_trace_nor_the_collectors_key_in_a_log() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    env.sandbox.set_token(TOKEN);
    std::fs::write(env.token_file(), TOKEN).unwrap();
    let flags = collector.flags().with("--retry-max", "1s").env("RUST_LOG", "trace");
    let mut operator = env.start(flags.env("OTEL_EXPORTER_OTLP_HEADERS", &format!("x-key={KEY}"))).await;
    let told = format!("Bearer {TOKEN} is bad");
    let on = || Fault::on(Operation::Changing);
    for (name, fault, reason) in [
        ("refused", on().answer(403).set("/message", json!(told)).always(), "AccessDenied"),
        ("page", on().answer(502).body(format!("<html>{BODY} {TOKEN}</html>")), "Restored"),
        ("odd", on().set("/data/description", json!(BODY)).set("/data/name", json!(TOKEN)), "Restored"),
    ] {
        let request = env.request(Kind::Restore, name, fault);
        env.apply(&request.manifest()).await;
        let end = env.wait_for(&request, reason).await;
        let (root, _) = collector.trace(&end).await;
        let redacted = root.error.is_some_and(|why| why.contains("[redacted]"));
        assert_eq!(redacted, name == "refused");
    }
    assert_eq!(collector.headers().get("x-key").expect("the key"), KEY);
    operator.terminate().await;

    let (sent, log) = (collector.text(), operator.log());

    for (canary, what, text) in [(TOKEN, "a trace", &sent), (BODY, "a trace", &sent), (KEY, "the log", &log)]
    {
        assert!(!text.contains(canary), "{canary} is in {what}");
    }
    assert!(log.contains("\"TRACE\"") && log.contains("hyper"), "the log is no trace");
}
