//! The fault proxy in front of the token endpoint.

use std::time::Duration;

use cde_sandbox::authorization_server::{AuthorizationServer, Grant};
use cde_sandbox::proxy::{Point, Proxy, Rule};

use crate::client::{eventually, form, http, http_with_timeout, json, refresh_fields};

struct TestEnv {
    server: AuthorizationServer,
    proxy: Proxy,
    grant: Grant,
}

impl TestEnv {
    async fn start() -> Self {
        let server = AuthorizationServer::start().await.unwrap();
        let proxy = Proxy::in_front_of(server.issuer()).await.unwrap();
        let grant = server.new_login().await.unwrap();
        Self { server, proxy, grant }
    }

    async fn refresh(&self, http: &reqwest::Client) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}/token", self.proxy.url());
        form(http, &url, &refresh_fields(&self.grant.refresh_token)).send().await
    }

    async fn refreshes(&self) -> u64 {
        self.server.statistics().await.unwrap().refreshes
    }
}

#[tokio::test]
async fn a_request_without_a_fault_passes_to_a_server_without_tls() {
    let env = TestEnv::start().await;
    let answer = env.refresh(&http()).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["cache-control"]),
        (200, &"no-store".parse().unwrap())
    );
    let access_token = json(answer).await["access_token"].as_str().unwrap().to_owned();
    assert!(env.server.is_active(&access_token).await.unwrap());
    assert_eq!(env.proxy.count(&Rule::refresh()), 1);
}

#[tokio::test]
async fn only_a_cut_after_forwarding_spends_the_refresh_token() {
    let env = TestEnv::start().await;
    env.proxy.cut(Rule::refresh(), Point::BeforeForward);
    let error = env.refresh(&http()).await.unwrap_err();
    assert_eq!((error.status(), env.refreshes().await), (None, 0));
    env.proxy.cut(Rule::refresh(), Point::BeforeReply);
    let error = env.refresh(&http()).await.unwrap_err();
    assert_eq!((error.status(), env.refreshes().await), (None, 1));
    assert_eq!(env.refresh(&http()).await.unwrap().status(), 400);
    assert_eq!(env.server.statistics().await.unwrap().reuse_detections, 1);
}

#[tokio::test]
async fn an_answer_delayed_past_the_time_out_comes_after_the_refresh() {
    let env = TestEnv::start().await;
    env.proxy.delay(Rule::refresh(), Point::BeforeReply, Duration::from_hours(1));
    let error = env.refresh(&http_with_timeout(Duration::from_millis(300))).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    eventually("the token is spent", async || env.refreshes().await == 1).await;
}

#[tokio::test]
async fn a_refusal_by_the_proxy_has_its_headers_and_spends_nothing() {
    let env = TestEnv::start().await;
    for status in [429, 503] {
        env.proxy.answer(Rule::refresh(), Point::BeforeForward, status, &[("Retry-After", "7")], "");
        let answer = env.refresh(&http()).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (status, &"7".parse().unwrap())
        );
    }
    assert_eq!(env.refreshes().await, 0);
    assert_eq!(env.refresh(&http()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_answer_in_place_of_the_tokens_hides_a_refresh() {
    for (status, content_type, body) in
        [(500, "application/json", "{}"), (200, "text/html", "<html>Welcome</html>")]
    {
        let env = TestEnv::start().await;
        env.proxy.answer(
            Rule::refresh(),
            Point::BeforeReply,
            status,
            &[("Content-Type", content_type)],
            body,
        );
        let answer = env.refresh(&http()).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()),
            (status, content_type)
        );
        assert_eq!((answer.text().await.unwrap().as_str(), env.refreshes().await), (body, 1));
    }
}

#[tokio::test]
async fn a_fault_of_refreshes_leaves_the_exchange_of_a_code_alone() {
    let env = TestEnv::start().await;
    env.proxy.cut(Rule::refresh().always(), Point::BeforeForward);
    let url = format!("{}/token", env.proxy.url());
    let fields = [("grant_type", "authorization_code"), ("code", "unknown"), ("client_id", "refresh_token")];
    assert_eq!(form(&http(), &url, &fields).send().await.unwrap().status(), 401);
    env.refresh(&http()).await.unwrap_err();
}
