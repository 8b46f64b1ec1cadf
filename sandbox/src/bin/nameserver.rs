//! Runs a command in a network of its own, where a name server has an IPv4 address for each name and fails for IPv6
//! addresses in the way that the first label says, for example `refused.cde.test`.
//!
//! ```text
//! nameserver [--search DOMAIN] PROGRAM [ARGUMENT…]
//! ```
//!
//! With `--search refused.search`, names are first looked up in that domain, in which the server fails for both. Needs root,
//! and `unshare`, `mount` and `ip` of the system. The exit code is that of the command.

use std::env;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode};
use std::thread;

use anyhow::{Context as _, Result, ensure};

/// The argument that says that the network is there.
const INSIDE: &str = "--inside";
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 53);
/// Types of questions.
const A: u16 = 1;
const AAAA: u16 = 28;

fn main() -> Result<ExitCode> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_none_or(|first| first != INSIDE) {
        let mut outside = Command::new("unshare");
        outside.args(["--mount", "--net"]).arg(env::current_exe()?).arg(INSIDE).args(&arguments);
        return run(outside);
    }
    arguments.remove(0);
    let mut configuration = format!("nameserver {}\noptions ndots:5\n", SERVER.0);
    if arguments.first().is_some_and(|first| first == "--search") {
        let domain = arguments.get(1).context("--search needs a domain")?;
        configuration = format!("{configuration}search {domain}\n");
        arguments.drain(..2);
    }
    let resolv_conf = tempfile::NamedTempFile::new()?;
    std::fs::write(&resolv_conf, configuration)?;
    for mut command in [
        prepared("ip", &["link", "set", "lo", "up"]),
        prepared("mount", &["--bind", &resolv_conf.path().to_string_lossy(), "/etc/resolv.conf"]),
    ] {
        let done = command.status().with_context(|| format!("cannot run {command:?}"))?;
        ensure!(done.success(), "{command:?} failed");
    }
    let socket = UdpSocket::bind(SERVER).context("the name server cannot listen")?;
    thread::spawn(move || serve(&socket));
    let (program, rest) = arguments.split_first().context("which command?")?;
    let mut command = Command::new(program);
    command.args(rest);
    run(command)
}

fn prepared(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn run(mut command: Command) -> Result<ExitCode> {
    let ended = command.status().with_context(|| format!("cannot run {command:?}"))?;
    let code = ended.code().or(ended.signal().map(|signal| 128 + signal));
    Ok(code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn serve(socket: &UdpSocket) {
    let mut packet = [0; 1500];
    while let Ok((length, peer)) = socket.recv_from(&mut packet) {
        if let Some(answer) = answer(&packet[..length]) {
            send(socket, &answer, peer);
        }
    }
}

/// A client that is gone needs no answer.
fn send(socket: &UdpSocket, answer: &[u8], peer: SocketAddr) {
    let _ = socket.send_to(answer, peer);
}

/// Returns the answer to a packet with one question; `None` if there is none.
fn answer(packet: &[u8]) -> Option<Vec<u8>> {
    let (mut labels, mut at) = (Vec::new(), 12);
    while let length @ 1.. = usize::from(*packet.get(at)?) {
        labels.push(String::from_utf8_lossy(packet.get(at + 1..=at + length)?).into_owned());
        at += length + 1;
    }
    let question = packet.get(12..at + 5)?;
    let type_ = u16::from_be_bytes([*packet.get(at + 1)?, *packet.get(at + 2)?]);
    let is_in_search_domain = labels.last().is_some_and(|last| last == "search");
    let failure = if is_in_search_domain { labels.iter().rev().nth(1) } else { labels.first() };
    let (code, address) = match type_ {
        A if !is_in_search_domain => (0, Some([127, 0, 0, 1])),
        A | AAAA => (code(failure?)?, None),
        _ => (4, None),
    };
    let mut answer = packet.get(..2)?.to_vec();
    // A response to a query that asks for recursion, which is available.
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(address) = address {
        // The name of the question, its type, class IN, for 5 s, and the length of the address.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        answer.extend(address);
    }
    Some(answer)
}

/// Returns the response code (RFC 1035, section 4.1.1); `None` for no answer at all.
fn code(failure: &str) -> Option<u8> {
    match failure {
        "formerr" => Some(1),
        "servfail" => Some(2),
        "nxdomain" => Some(3),
        "notimp" => Some(4),
        "refused" => Some(5),
        "silent" => None,
        _ => Some(0),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn asked(name: &str, type_: u16) -> Option<Vec<u8>> {
        let mut packet = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            packet.push(u8::try_from(label.len()).unwrap());
            packet.extend(label.as_bytes());
        }
        packet.push(0);
        packet.extend(type_.to_be_bytes());
        packet.extend([0, 1]);
        answer(&packet)
    }

    #[test]
    fn a_name_has_an_ipv4_address_and_fails_for_ipv6_as_it_says() {
        let found = asked("refused.cde.test", A).unwrap();
        assert_eq!((found[3] & 15, found[7], found.ends_with(&[127, 0, 0, 1])), (0, 1, true));
        for (name, code) in [("refused.cde.test", 5), ("nxdomain.cde.test", 3), ("plain.cde.test", 0)] {
            let found = asked(name, AAAA).unwrap();
            assert_eq!((found[3] & 15, found[7]), (code, 0), "{name}");
        }
        assert_eq!(asked("silent.cde.test", AAAA), None);
    }

    #[test]
    fn a_search_domain_fails_for_both_families() {
        for type_ in [A, AAAA] {
            assert_eq!(asked("plain.cde.test.servfail.search", type_).unwrap()[3] & 15, 2, "{type_}");
        }
    }
}
