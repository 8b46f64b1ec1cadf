//! Resolves host names with the C library, and puts up with DNS servers that answer for one address family only.
//!
//! A C library asks for IPv4 and IPv6 addresses at once. musl, which the image uses, then fails if one of the two questions
//! fails, although the other one was answered: for example, if the server refuses every question for an IPv6 address. It
//! also fails if a server fails for a search domain. So if this lookup fails or takes long, each family is asked for by
//! itself, and then without search domains.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use dns_lookup::{AddrFamily, AddrInfoHints, SockType, getaddrinfo};
use futures::future::{Either, select};
use hyper_util::client::legacy::connect::dns::Name;
use reqwest::dns::{Addrs, Resolve, Resolving};
use tokio::time::timeout;
use tower::Service;

/// The lookup for both families may take this long before each is asked for by itself.
const PATIENCE: Duration = Duration::from_secs(1);
/// How much longer one family may take than the other.
const GRACE: Duration = Duration::from_millis(300);

type Found = io::Result<Vec<SocketAddr>>;

/// What to ask the C library for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Both,
    V4,
    V6,
}

/// The resolver of all HTTP clients.
#[derive(Clone, Copy, Debug)]
pub struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let name = name.as_str().to_owned();
        Box::pin(async move { Ok(Box::new(resolve(&name, ask).await?.into_iter()) as Addrs) })
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move { Ok(resolve(name.as_str(), ask).await?.into_iter()) })
    }
}

/// Asks the C library, in a thread of its own.
async fn ask(name: String, family: Family) -> Found {
    let asking = tokio::task::spawn_blocking(move || {
        let address = match family {
            Family::Both => return Ok((name.as_str(), 0).to_socket_addrs()?.collect()),
            Family::V4 => AddrFamily::Inet,
            Family::V6 => AddrFamily::Inet6,
        };
        let hints = AddrInfoHints {
            address: address.into(),
            socktype: SockType::Stream.into(),
            ..AddrInfoHints::default()
        };
        let found = getaddrinfo(Some(&name), None, Some(hints))?;
        found.map(|info| Ok(info?.sockaddr)).collect()
    });
    asking.await.map_err(io::Error::other)?
}

/// Returns the addresses of `name`, or the error of the lookup for both families.
async fn resolve<A, F>(name: &str, ask: A) -> Found
where
    A: Fn(String, Family) -> F,
    F: Future<Output = Found>,
{
    let mut both = pin!(ask(name.to_owned(), Family::Both));
    let one_by_one = async {
        match each(name, &ask).await {
            // A name without a dot makes sense with a search domain only.
            None if name.contains('.') && !name.ends_with('.') => each(&format!("{name}."), &ask).await,
            found => found,
        }
    };
    match timeout(PATIENCE, both.as_mut()).await {
        Ok(Ok(found)) => return Ok(found),
        Ok(Err(error)) => return one_by_one.await.ok_or(error),
        Err(_) => {}
    }
    match select(both, pin!(one_by_one)).await {
        Either::Left((Ok(found), _)) | Either::Right((Some(found), _)) => Ok(found),
        Either::Left((Err(error), one_by_one)) => one_by_one.await.ok_or(error),
        Either::Right((None, both)) => both.await,
    }
}

/// Asks for each family by itself. Returns what both find, or one of them if the other fails or takes long.
async fn each<A, F>(name: &str, ask: &A) -> Option<Vec<SocketAddr>>
where
    A: Fn(String, Family) -> F,
    F: Future<Output = Found>,
{
    let (v4, v6) = (pin!(ask(name.to_owned(), Family::V4)), pin!(ask(name.to_owned(), Family::V6)));
    let (first, other) = select(v4, v6).await.factor_first();
    let mut found = first.unwrap_or_default();
    if found.is_empty() {
        found = other.await.unwrap_or_default();
    } else if let Ok(Ok(more)) = timeout(GRACE, other).await {
        found.extend(more);
    }
    Some(found).filter(|found| !found.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::cell::RefCell;

    use tokio::time::{Instant, sleep};

    use super::*;

    const V4: &str = "192.0.2.1:0";
    const V6: &str = "[2001:db8::1]:0";

    /// When an answer comes, in milliseconds, and what it is.
    type Answer = (u64, Result<&'static [&'static str], &'static str>);

    /// Resolves the name. Returns the result, how long it took in milliseconds, and the questions.
    async fn resolved(
        name: &str,
        answers: impl Fn(&str, Family) -> Answer,
    ) -> (Result<Vec<String>, String>, u128, Vec<(String, Family)>) {
        let (asked, begun) = (RefCell::new(Vec::new()), Instant::now());
        let found = resolve(name, |name, family| {
            let (after, answer) = answers(&name, family);
            asked.borrow_mut().push((name, family));
            async move {
                sleep(Duration::from_millis(after)).await;
                let found = answer.map_err(io::Error::other)?;
                Ok(found.iter().map(|address| address.parse().unwrap()).collect())
            }
        });
        let found = found.await.map(|found| found.iter().map(ToString::to_string).collect());
        (found.map_err(|error| error.to_string()), begun.elapsed().as_millis(), asked.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_succeeds_is_the_only_one() {
        let (found, after, asked) = resolved("a.test", |_, _| (900, Ok(&[V6, V4]))).await;
        assert_eq!((found.unwrap(), after), (vec![V6.to_owned(), V4.to_owned()], 900));
        assert_eq!(asked, [("a.test".to_owned(), Family::Both)]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_for_one_family_is_enough() {
        for (family, address) in [(Family::V4, V4), (Family::V6, V6)] {
            let only = [address];
            let only: &'static [&'static str] = Box::leak(Box::new(only));
            for (fails_after, limit) in [(1, 302), (5_000, 1_301)] {
                let (found, after, asked) = resolved("a.test", |_, asked| {
                    if asked == family { (1, Ok(only)) } else { (fails_after, Err("refused")) }
                })
                .await;
                assert_eq!(found.unwrap(), [address], "{family:?}");
                assert!(after <= limit, "{family:?} after {after} ms");
                assert_eq!(asked.len(), 3, "{asked:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_slower_family_is_not_dropped_if_it_is_only_a_little_slower() {
        let (found, _, _) = resolved("a.test", |_, family| match family {
            Family::Both => (1, Err("failed")),
            Family::V4 => (10, Ok(&[V4])),
            Family::V6 => (200, Ok(&[V6])),
        })
        .await;
        assert_eq!(found.unwrap(), [V4, V6]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_search_domain_does_not_hide_a_full_name() {
        let answers = |name: &str, family| match family {
            Family::V4 if name.ends_with('.') => (1, Ok(&[V4] as &[_])),
            _ => (2_000, Err("try again")),
        };
        let (found, after, _) = resolved("a.test", answers).await;
        assert_eq!(found.unwrap(), [V4]);
        assert!(after <= 3_400, "after {after} ms");
        // Without a search domain it would be another name.
        let (found, _, asked) = resolved("a", answers).await;
        assert_eq!(found.unwrap_err(), "try again");
        assert!(asked.iter().all(|(name, _)| name == "a"), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_no_lookup_finds_has_the_error_of_the_first_lookup() {
        for first in [1, 900, 4_000, 9_000] {
            let (found, _, asked) = resolved("a.test", |_, family| match family {
                Family::Both => (first, Err("no such name")),
                _ => (3_000, Err("other")),
            })
            .await;
            assert_eq!(found.unwrap_err(), "no such name");
            assert_eq!(asked.len(), 5, "{asked:?}");
        }
        let (found, after, _) = resolved("a.test", |_, family| match family {
            Family::Both => (9_000, Ok(&[V4])),
            _ => (1, Err("other")),
        })
        .await;
        assert_eq!((found.unwrap(), after), (vec![V4.to_owned()], 9_000));
    }

    #[tokio::test]
    async fn the_c_library_is_asked_for_each_family() {
        for (family, is) in [(Family::V4, "127.0.0.1:0"), (Family::V6, "[::1]:0")] {
            let address = is.trim_end_matches(":0").trim_matches(['[', ']']);
            let found = ask(address.to_owned(), family).await.unwrap();
            assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [is], "{family:?}");
            let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
            assert!(ask(address.to_owned(), other).await.is_err(), "{family:?}");
        }
    }
}
