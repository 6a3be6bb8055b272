//! A child process whose output is collected line by line.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::eventually;

/// How long a process may take to say or do what a test waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running process. Dropping it kills and reaps it.
pub(crate) struct Running {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
}

/// What a process said and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Lines read so far, filled by a thread until the pipe closes.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Running {
    /// Starts `command` with no standard input and both outputs collected.
    pub(crate) fn start(name: &str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("starting `{name}`: {error}; ./scripts/test.sh installs what the tests need")
            });
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        let name = name.to_owned();
        Self {
            name,
            child,
            stdout,
            stderr,
        }
    }

    /// The first JSON line on standard output whose `event` is `event`.
    pub(crate) fn event(&mut self, event: &str) -> Value {
        self.line(&format!("the event `{event}`"), |line| {
            let value: Value = serde_json::from_str(line).ok()?;
            (value["event"] == event).then_some(value)
        })
    }

    /// The first line of standard output that `pick` takes.
    pub(crate) fn line<T>(&mut self, awaited: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        let awaited = format!("{awaited} from `{}`", self.name);
        eventually(&awaited, PATIENCE, || {
            if let Some(found) = self.stdout.find(&pick) {
                return Ok(found);
            }
            let Some(status) = self.child.try_wait().unwrap() else {
                return Err("not printed yet".to_owned());
            };
            // Its last words may still be on their way.
            self.stdout.all();
            self.stdout.find(&pick).map_or_else(
                || panic!("`{}` ended with {status} before {awaited}", self.name),
                Ok,
            )
        })
    }

    /// Waits until a line of standard error contains that.
    pub(crate) fn complains(&self, why: &str) {
        let awaited = format!("`{why}` from `{}`", self.name);
        eventually(&awaited, PATIENCE, || {
            let found = self.stderr.find(|line| line.contains(why).then_some(()));
            found.ok_or_else(|| "not said yet".to_owned())
        });
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own `kill`: the program of that name is not everywhere.
        let script = format!("kill -s {name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status().unwrap();
        assert!(status.success(), "signalling `{}`", self.name);
    }

    /// Waits for the process to end by itself.
    pub(crate) fn ended(mut self) -> Ended {
        let awaited = format!("the end of `{}`", self.name);
        let status = eventually(&awaited, PATIENCE, || {
            self.child
                .try_wait()
                .unwrap()
                .ok_or_else(|| "still running".to_owned())
        });
        self.collected(status)
    }

    /// Ends the process with SIGKILL, as a power cut would.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.collected(status)
    }

    fn collected(&self, status: ExitStatus) -> Ended {
        // A pipe closes when its last holder exits; both threads then end.
        let (stdout, stderr) = (self.stdout.all(), self.stderr.all());
        Ended {
            status,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if the process has been reaped already.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("--- stdout of `{}`\n{}", self.name, self.stdout.so_far());
            eprintln!("--- stderr of `{}`\n{}", self.name, self.stderr.so_far());
        }
    }
}

impl Ended {
    /// The exit code; a process ended by a signal has none.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output as JSON lines.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("`{line}` is not JSON: {error}"))
        };
        self.stdout.lines().map(parse).collect()
    }

    /// Standard output as the one JSON line it should be.
    pub(crate) fn json(&self) -> Value {
        let mut lines = self.json_lines();
        assert_eq!(lines.len(), 1, "one line: {self:?}");
        lines.remove(0)
    }

    /// Asserts the exit code, showing both outputs otherwise.
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl Lines {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let filled = lines.clone();
        thread::spawn(move || {
            // The clone is dropped with the thread: `all` waits for that.
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                filled.0.lock().unwrap().push(line);
            }
        });
        lines
    }

    fn find<T>(&self, pick: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.0.lock().unwrap().iter().find_map(|line| pick(line))
    }

    fn so_far(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }

    /// Everything, once the pipe has closed.
    fn all(&self) -> String {
        eventually("a closed pipe", PATIENCE, || {
            let open = Arc::strong_count(&self.0) > 1;
            if open {
                Err("still open".to_owned())
            } else {
                Ok(())
            }
        });
        self.so_far()
    }
}
