//! The metric of calls has the code of the response.

use cde_sandbox::cde::{Fault, Operation};
use serde_json::json;

use super::metric;
use crate::faults::request::{apply, both};
use cde_harness::{Flags, Kind, TestEnv};

/// Returns the API's response to a read of this connector.
async fn body_of_a_read(env: &TestEnv, id: uuid::Uuid) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/connectors/{id}", env.sandbox.url());
    let answer = client.get(url).bearer_auth(env.sandbox.token()).send().await.unwrap();
    answer.text().await.unwrap()
}

/// Successes of any code, readable or not, of calls and of reads.
#[tokio::test]
async fn each_call_is_counted_with_the_code_of_its_response() {
    let env = TestEnv::new().await;
    let mut operator = env.start(Flags::fast_retries()).await;
    let mut expected = Vec::new();
    let mut all = Vec::new();
    for code in [201, 202, 206] {
        for request in both(&env.sandbox, &format!("c{code}")) {
            let fault = Fault::on(Operation::Changing).connector(request.id).answer(code).after_effect();
            env.sandbox.inject(fault.set("/data", json!({})));
            all.push(request);
        }
        expected.extend([("restore", code, 1.0), ("rollback", code, 1.0)]);
    }
    for request in both(&env.sandbox, "empty") {
        let fault = Fault::on(Operation::Changing).connector(request.id).answer(204).empty();
        env.sandbox.inject(fault.after_effect());
        all.push(request);
    }
    expected.extend([("restore", 204, 1.0), ("rollback", 204, 1.0)]);
    let [read, _] = both(&env.sandbox, "read");
    let body = body_of_a_read(&env, read.id).await;
    env.sandbox.inject(Fault::on(Operation::Read).connector(read.id).answer(203).body(body));
    expected.push(("read", 203, 1.0));
    all.push(read);
    apply(&env, &all).await;
    for request in &all {
        request.succeeds(&env).await;
    }

    for (operation, code, count) in expected {
        let code = code.to_string();
        let labels = [("operation", operation), ("code", code.as_str())];
        let counted = metric(&mut operator, "cde_api_requests_total", &labels).await;
        assert_eq!(counted, Some(count), "{labels:?}\n{}", env.sandbox.ledger());
    }
    let rollbacks = all.iter().filter(|request| request.kind == Kind::Rollback).count();
    let restores = all.len() - rollbacks;
    for (operation, number) in [("rollback", rollbacks), ("restore", restores)] {
        let counted = metric(&mut operator, "cde_api_requests_total", &[("operation", operation)]).await;
        assert_eq!(counted, Some(f64::from(u32::try_from(number).unwrap())), "{operation}");
    }
}
