//! Which server is reached through which proxy.
//!
//! The libraries read the same environment variables but understand different forms of `NO_PROXY`: reqwest ignores
//! `*.corp`, ports and brackets, and kube compares the list with the address of the proxy instead of the server's. So all
//! clients of this project decide here.

use std::env;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::Kubeconfig;
use reqwest::Url;

use super::is_loopback;

/// Returns whether the server of `url` is reached without a proxy, whatever proxies are set: it is this machine, or
/// `NO_PROXY` names it.
#[must_use]
pub fn is_direct(url: &Url) -> bool {
    is_loopback(url) || variable(["NO_PROXY", "no_proxy"]).is_some_and(|list| excepts(&list, url))
}

/// Returns the `proxy-url` of the cluster that `context` of a kubeconfig names; without `context`, the current one.
#[must_use]
pub fn named_in<'a>(kubeconfig: &'a Kubeconfig, context: Option<&str>) -> Option<&'a str> {
    let context = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let cluster = kubeconfig.clusters.iter().find(|cluster| cluster.name == context.cluster)?;
    cluster.cluster.as_ref()?.proxy_url.as_deref()
}

/// Returns the proxy for the API server of a kubeconfig: `named` (its `proxy-url`), as kubectl does, or that of
/// `HTTPS_PROXY` unless the server [is reached directly](is_direct). `None` if it is not a URL.
#[must_use]
pub fn for_api_server(named: Option<&str>, server: &Uri) -> Option<Uri> {
    let named = named.filter(|named| !named.is_empty()).map(str::to_owned);
    let proxy = named.or_else(|| {
        let is_direct = Url::parse(&server.to_string()).is_ok_and(|url| is_direct(&url));
        variable(["HTTPS_PROXY", "https_proxy"]).filter(|_| !is_direct)
    })?;
    let proxy = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
    proxy.parse().ok()
}

/// Returns the first of these variables that is not empty.
fn variable(names: [&str; 2]) -> Option<String> {
    names.into_iter().filter_map(|name| env::var(name).ok()).find(|value| !value.trim().is_empty())
}

/// Returns whether `list`, a value of `NO_PROXY`, names the server of `url`.
fn excepts(list: &str, url: &Url) -> bool {
    let port = url.port_or_known_default();
    let entries = list.split(|c: char| c == ',' || c.is_whitespace());
    let hosts: Vec<String> = entries.filter_map(|entry| host_at(entry, port)).collect();
    // For the library, it matches names only.
    if hosts.iter().any(|host| host == "*") {
        return true;
    }
    let Ok(server) = url.as_str().parse() else { return false };
    // The proxy does not matter, only whether it would be used.
    let matcher = Matcher::builder().all("http://proxy.invalid").no(hosts.join(",")).build();
    matcher.intercept(&server).is_none()
}

/// Returns an entry as the library knows it: without a port, brackets or `*` before a domain. `None` if it is for another
/// port.
fn host_at(entry: &str, port: Option<u16>) -> Option<String> {
    let (host, own) = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        // An IPv6 address without brackets has no port.
        None if entry.matches(':').count() == 1 => {
            entry.split_once(':').map(|(host, own)| (host, Some(own)))?
        }
        None => (entry, None),
    };
    let is_ours = own.is_none_or(|own| own.parse().ok() == port);
    let host = if host.starts_with("*.") { &host[1..] } else { host };
    is_ours.then(|| host.to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn is_excepted(list: &str, url: &str) -> bool {
        excepts(list, &Url::parse(url).unwrap())
    }

    #[test]
    fn each_form_of_no_proxy_excepts_the_hosts_that_it_names_and_no_others() {
        let (name, v4, v6) = ("https://cde.corp", "https://10.1.2.3", "https://[fd00::7]:8443");
        for (list, matches, others) in [
            ("corp", vec![name, "https://corp"], vec!["https://cdecorp", "https://corp.example", v4, v6]),
            (".corp", vec![name, "https://a.b.corp"], vec!["https://cdecorp", "https://corp.example", v4]),
            ("*.corp", vec![name, "https://a.b.corp"], vec!["https://cdecorp", "https://corp.example", v6]),
            ("cde.corp", vec![name, "https://CDE.Corp", "https://x.cde.corp"], vec!["https://corp"]),
            ("CDE.CORP", vec![name], vec![v4]),
            ("cde.corp:443", vec![name, "https://cde.corp:443"], vec!["https://cde.corp:8443", v4]),
            ("cde.corp:8443", vec!["https://cde.corp:8443"], vec![name]),
            ("*.corp:8443", vec!["https://cde.corp:8443"], vec![name]),
            ("10.1.2.3", vec![v4], vec![name, "https://10.1.2.30"]),
            ("10.1.2.3:443", vec![v4], vec!["https://10.1.2.3:8443"]),
            ("10.0.0.0/8", vec![v4], vec!["https://11.0.0.1", name, v6]),
            ("fd00::7", vec![v6, "https://[fd00::7]"], vec!["https://[fd00::8]", v4]),
            ("[fd00::7]", vec![v6, "https://[fd00::7]"], vec!["https://[fd00::8]"]),
            ("[fd00::7]:8443", vec![v6], vec!["https://[fd00::7]"]),
            ("fd00::/8", vec![v6], vec!["https://[fe80::1]", v4]),
            ("*", vec![name, v4, v6], vec![]),
            ("localhost,*", vec![name, v4], vec![]),
            (" a.test , cde.corp\t", vec![name], vec![v4]),
            ("a.test cde.corp", vec![name], vec![v4]),
            ("a.test,,cde.corp,", vec![name], vec![v4]),
            (" , ", vec![], vec![name, v4, v6]),
            ("cde.corp:soon", vec![], vec![name]),
        ] {
            for url in matches {
                assert!(is_excepted(list, url), "{list:?} does not except {url}");
            }
            for url in others {
                assert!(!is_excepted(list, url), "{list:?} excepts {url}");
            }
        }
    }

    #[test]
    fn the_proxy_in_the_kubeconfig_is_used_as_it_is() {
        let server = "https://127.0.0.1:6443".parse().unwrap();
        for (named, expected) in [
            (Some("http://proxy:3128"), Some("http://proxy:3128/")),
            (Some("proxy:3128"), Some("http://proxy:3128/")),
            (Some(""), None),
            (None, None),
        ] {
            let proxy = for_api_server(named, &server).map(|proxy| proxy.to_string());
            assert_eq!(proxy.as_deref(), expected, "{named:?}");
        }
    }
}
