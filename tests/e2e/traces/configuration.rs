//! Which variables configure traces, and which of them end the program before it contacts anything.

use cde_sandbox::cde::{Fault, Operation, Sandbox};
use cde_sandbox::process::output;

use crate::traces::collector::Collector;
use cde_harness::{Flags, Kind, TestEnv, command};

#[tokio::test]
async fn the_opentelemetry_variables_work_like_the_flag() {
    let (env, collector) = (TestEnv::new().await, Collector::start().await);
    let quick =
        || Flags::fast_retries().env("OTEL_BSP_SCHEDULE_DELAY", "50").env("OTEL_SERVICE_NAME", "ours");
    let exactly = format!("{}/v1/traces", collector.url);
    for (name, variable, value) in [
        ("ours", "CDE_OTLP_ENDPOINT", &collector.url),
        ("base", "OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url),
        ("exact", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &exactly),
    ] {
        let mut operator = env.start(quick().env(variable, value)).await;
        let request = env.request(Kind::Restore, name, Fault::on(Operation::Any).times(0));
        env.apply(&request.manifest()).await;
        let done = env.wait_for(&request, "Restored").await;
        let (root, _) = collector.trace(&done).await;
        assert_eq!(root.resource["service.name"], "ours", "{variable}");
        assert_eq!(operator.terminate().await, Some(0));
    }
}

#[tokio::test]
async fn a_collector_with_tls_is_used_only_if_its_authority_is_trusted() {
    let env = TestEnv::new().await;
    // The server uses HTTPS and knows nothing of traces. An operator that gets its 404 has trusted its certificate.
    let server = Sandbox::builder().tls().start().await.unwrap();
    let roots = env.scratch.path().join("roots.pem");
    std::fs::write(&roots, server.ca_pem().unwrap()).unwrap();
    let flags =
        || Flags::fast_retries().with("--otlp-endpoint", &server.url()).env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let trusting = flags().env("OTEL_EXPORTER_OTLP_CERTIFICATE", roots.to_str().unwrap());
    for (name, flags, says) in
        [("trusted", trusting, "it responds with 404"), ("unknown", flags(), "certificate")]
    {
        let mut operator = env.start(flags).await;
        let request = env.request(Kind::Restore, name, Fault::on(Operation::Any).times(0));
        env.apply(&request.manifest()).await;
        env.wait_for(&request, "Restored").await;
        let line = operator.wait_for_log("traces do not reach the collector").await;
        assert!(line.contains(says), "{name}: {line}");
        assert_eq!(operator.terminate().await, Some(0));
    }
}

#[tokio::test]
async fn invalid_trace_settings_exit_with_code_2_and_one_sentence_without_secrets() {
    let scratch = cde_sandbox::process::scratch_dir().unwrap();
    let token = scratch.path().join("token");
    std::fs::write(&token, "canary-token").unwrap();
    let missing = scratch.path().join("missing");
    for (variable, value, says) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "canary", "http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "canary:4318", "http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://canary", "http://"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://host/?canary", "?"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://host/#canary", "#"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "canary", "milliseconds"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://canary:canary@localhost", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost/?canary", "?"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon", "milliseconds"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", missing.to_str().unwrap(), "cannot be read"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "gzip"),
    ] {
        let mut command = command(&missing);
        command
            .args(["run", "--url", "http://127.0.0.1:9", "--listen", "127.0.0.1:0"])
            .env("CDE_TOKEN_FILE", &token)
            .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=canary")
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
            .env(variable, value);
        let ended = output(command, b"").await.unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{variable}: {said}");
        assert_eq!(said.lines().count(), 1, "{variable}: {said}");
        assert!(said.contains(variable) && said.contains(says), "{variable}: {said}");
        assert!(said.starts_with(&format!("cde-operator: {variable}")), "{variable}: {said}");
        assert!(!said.contains("canary"), "{variable}: {said}");
    }
}
