//! promtool, and a real Prometheus as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use cde_sandbox::process::{self, Process, output};
use serde_json::{Value, json};

use crate::monitoring::repository::{field, items, yaml};
use crate::tools::tools;
use cde_harness::{LIMIT, Operator, POLL, TestEnv};

/// Runs promtool and returns its output.
pub(crate) async fn promtool(args: &[&str], directory: &Path, stdin: &str) -> Output {
    let program = &tools().await.promtool;
    let mut command = Command::new(program);
    command.args(args).current_dir(directory);
    output(command, stdin.as_bytes()).await.unwrap()
}

/// Returns both outputs of a program.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

/// Writes the rules in plain form into `directory`, as `rules.yaml`.
pub(crate) fn plain_rules(directory: &Path) -> PathBuf {
    let path = directory.join("rules.yaml");
    // JSON is YAML.
    std::fs::write(&path, yaml("deploy/monitoring/rules.yaml")["spec"].to_string()).unwrap();
    path
}

/// Returns whether there are values and none is 0.
pub(crate) fn holds(values: &[f64]) -> bool {
    !values.is_empty() && values.iter().all(|value| *value > 0.0)
}

/// A running Prometheus that scrapes one operator every second. It is killed when it is dropped.
pub(crate) struct Prometheus {
    process: Process,
    log: PathBuf,
    url: String,
    http: reqwest::Client,
}

impl Prometheus {
    /// Starts it with the rules of the repository, and waits until it has scraped the operator.
    pub(crate) async fn start(env: &TestEnv, operator: &Operator) -> Self {
        let program = &tools().await.prometheus;
        let directory = env.scratch.path().join("prometheus");
        std::fs::create_dir(&directory).unwrap();
        plain_rules(&directory);
        let listens = operator.wait_for_log("\"listen\"").await;
        let listens: Value = serde_json::from_str(&listens).unwrap();
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{
                "job_name": "cde-operator",
                "static_configs": [{
                    "targets": [field(&listens, "listen")],
                    "labels": {"namespace": "operators", "pod": "a"},
                }],
            }],
        });
        std::fs::write(directory.join("prometheus.yaml"), config.to_string()).unwrap();
        let log = directory.join("log");
        let mut command = Command::new(program);
        command
            .args(["--config.file=prometheus.yaml", "--storage.tsdb.path=data"])
            .args(["--web.listen-address=127.0.0.1:0", "--log.format=json"])
            .current_dir(&directory);
        let process = process::spawn_logged(command, &log).unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap();
        let mut prometheus = Self { process, log, url: String::new(), http };
        prometheus.listens().await;
        prometheus.ready().await;
        prometheus.until("up", holds).await;
        prometheus
    }

    async fn listens(&mut self) {
        let begun = Instant::now();
        while self.url.is_empty() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(line) = lines.into_iter().find(|line| line["msg"] == "Listening on") {
                self.url = format!("http://{}", field(&line, "address"));
            }
            let ended = self.process.try_wait().unwrap();
            assert!(
                ended.is_none() && begun.elapsed() < LIMIT,
                "Prometheus does not listen: {ended:?}\n{log}"
            );
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until it is ready. Before that, it responds with 503.
    async fn ready(&self) {
        let begun = Instant::now();
        loop {
            let answer = self.http.get(format!("{}/-/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "Prometheus is not ready");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns the data of a response of its API.
    pub(crate) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| {
                let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
                format!("{name}={value}")
            })
            .collect();
        let url = format!("{}/api/v1/{path}?{}", self.url, query.join("&"));
        let answer = self.http.get(url).send().await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        assert_eq!(answer["status"], "success", "{path} {query:?}: {answer}");
        answer["data"].clone()
    }

    /// Returns the present values of an expression, without those that are not numbers.
    pub(crate) async fn values(&self, expression: &str) -> Vec<f64> {
        let data = self.get("query", &[("query", expression)]).await;
        let values = items(&data["result"]).filter_map(|sample| sample["value"][1].as_str()?.parse().ok());
        values.filter(|value: &f64| !value.is_nan()).collect()
    }

    /// Waits until the values of an expression satisfy `condition`.
    pub(crate) async fn until(&self, expression: &str, condition: impl Fn(&[f64]) -> bool) {
        let begun = Instant::now();
        loop {
            let values = self.values(expression).await;
            if condition(&values) {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "after {LIMIT:?} it is {values:?}: {expression}");
            tokio::time::sleep(POLL).await;
        }
    }
}
