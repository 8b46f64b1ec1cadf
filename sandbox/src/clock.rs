//! A wall clock for one program that a test can set forward and back while the program runs.
//!
//! A few lines of C, compiled once per process and preloaded, replace the C library's `clock_gettime` and `time`. The
//! monotonic clock does not change, as when a machine's time is corrected.
//!
//! Caveat: programs that are linked statically, or that ask the kernel directly (such as Go programs), see the real
//! clock.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use jiff::SignedDuration;

use crate::process::{ScratchDir, scratch_dir};

const SOURCE: &str = include_str!("clock.c");

/// The compiled library, which is removed when this process ends.
static LIBRARY: Mutex<Option<(ScratchDir, PathBuf)>> = Mutex::new(None);

/// The wall clock of the programs that are started with it. It is correct until it is set.
#[derive(Debug)]
pub struct Clock {
    library: PathBuf,
    shift: File,
    scratch: ScratchDir,
}

impl Clock {
    /// Returns a clock that shows the real time.
    ///
    /// # Errors
    /// If the library cannot be compiled with `cc` (which linking Rust programs needs too), or a file cannot be
    /// written.
    pub fn new() -> io::Result<Self> {
        let scratch = scratch_dir()?;
        let shift = File::create_new(scratch.path().join("shift"))?;
        let clock = Self { library: library()?, shift, scratch };
        clock.set(SignedDuration::ZERO)?;
        Ok(clock)
    }

    /// Returns the environment variables of a program that uses this clock.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, String); 2] {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        [("LD_PRELOAD", text(&self.library)), ("CDE_SANDBOX_CLOCK", text(&self.scratch.path().join("shift")))]
    }

    /// Sets the clock ahead of the real one by `shift`, or behind it if `shift` is negative. Running programs see the
    /// change at once.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn set(&self, shift: SignedDuration) -> io::Result<()> {
        let nanoseconds = i64::try_from(shift.as_nanos()).map_err(io::Error::other)?;
        self.shift.write_all_at(&nanoseconds.to_ne_bytes(), 0)
    }
}

fn library() -> io::Result<PathBuf> {
    let mut library = LIBRARY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, path)) = library.as_ref() {
        return Ok(path.clone());
    }
    let scratch = scratch_dir()?;
    let (source, path) = (scratch.path().join("clock.c"), scratch.path().join("clock.so"));
    std::fs::write(&source, SOURCE)?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&path).arg(&source).arg("-ldl");
    let output =
        cc.output().map_err(|error| io::Error::new(error.kind(), format!("cannot start `cc`: {error}")))?;
    if !output.status.success() {
        return Err(io::Error::other(format!("`cc` fails: {}", String::from_utf8_lossy(&output.stderr))));
    }
    *library = Some((scratch, path.clone()));
    Ok(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests panic on unexpected results")]

    use std::io::{BufRead, BufReader, Write};
    use std::process::Stdio;

    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    #[test]
    fn a_running_program_sees_its_clock_move_forward_and_back() {
        let clock = Clock::new().unwrap();
        let mut program = Command::new("bash")
            .args(["-c", "while read -r _; do printf '%(%s)T\\n' -1; done"])
            .envs(clock.variables())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut ask, answer) = (program.stdin.take().unwrap(), program.stdout.take().unwrap());
        let mut answers = BufReader::new(answer).lines();
        let mut ahead = |shift| {
            clock.set(shift).unwrap();
            writeln!(ask).unwrap();
            let theirs: i64 = answers.next().unwrap().unwrap().parse().unwrap();
            // In minutes, rounded.
            (theirs - jiff::Timestamp::now().as_second() + 30).div_euclid(60)
        };
        assert_eq!([SignedDuration::ZERO, HOUR, -HOUR].map(&mut ahead), [0, 60, -60]);
        drop(ask);
        assert!(program.wait().unwrap().success());
    }
}
