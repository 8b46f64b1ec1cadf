//! What must not show: the CDE's token and response bodies in a trace, and the collector's key in a log.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use crate::traces::collector::Collector;
use cde_harness::{Kind, TestEnv};

const TOKEN: &str = "canary-token-9b2c";
/// Part of bodies only.
const BODY: &str = "canary-body-41d7";
/// The key for the collector.
const KEY: &str = "canary-key-f00d";

#[tokio::test]
async fn traces_have_no_token_or_body_and_logs_do_not_have_the_key_of_the_collector() {
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
    assert!(log.contains("\"TRACE\"") && log.contains("hyper"), "the log is too long");
}
