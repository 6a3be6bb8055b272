//! The real binary: servers on free ports, and commands that talk to them.

use std::fs::Permissions;
use std::net::TcpListener;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::clock::WallClock;
use super::process::{Ended, Running};

/// A command of the binary under test, in an empty environment of ours.
pub(crate) fn bailiwick(arguments: &[&str]) -> Command {
    let binary = std::env::var_os("BAILIWICK_TEST_BINARY").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_bailiwick")),
        PathBuf::from,
    );
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BAILIWICK_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// `bailiwick up` on free ports, with a data directory of its own.
pub(crate) struct Bailiwick {
    process: Running,
    place: Place,
}

/// `bailiwick issuer` and `bailiwick gateway` as two processes, on one clock
/// that the test moves.
pub(crate) struct Apart {
    pub(crate) clock: WallClock,
    issuing: Option<Running>,
    guarding: Option<Running>,
    trust_anchor: String,
    place: Place,
}

/// Where the servers of a test are, and how to talk to them.
pub(crate) struct Place {
    pub(crate) folder: Folder,
    /// The data directory that holds the operator's token.
    pub(crate) data_dir: PathBuf,
    pub(crate) issuer: String,
    pub(crate) gateway: String,
    /// The one-time link of the first approver.
    pub(crate) sign_in: Option<String>,
}

/// Where one test keeps its files; removed when dropped.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A path inside the folder, as a command-line argument.
    pub(crate) fn arg(&self, name: &str) -> String {
        self.join(name).to_str().unwrap().to_owned()
    }
}

impl Bailiwick {
    /// Starts it on the true clock.
    pub(crate) fn up() -> Self {
        Self::up_with(Folder::new(), |_| ())
    }

    /// Starts it on a clock that the test moves.
    pub(crate) fn up_on(clock: &WallClock) -> Self {
        Self::up_with(Folder::new(), |command| clock.rule(command))
    }

    /// Starts it in a folder that may hold the state of an earlier run.
    pub(crate) fn up_with(folder: Folder, adjust: impl FnOnce(&mut Command)) -> Self {
        let mut command = bailiwick(&up_arguments(&folder.arg("data")));
        command.current_dir(folder.path());
        adjust(&mut command);
        let mut process = Running::start("bailiwick up", command);
        let ready = process.event("ready");
        let place = Place {
            data_dir: folder.join("data"),
            issuer: url(&ready["issuer"]),
            gateway: url(&ready["gateway"]),
            sign_in: ready["sign_in"].as_str().map(str::to_owned),
            folder,
        };
        Self { process, place }
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits until its log says so.
    pub(crate) fn complains(&self, why: &str) {
        self.process.complains(why);
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits for the end and hands back the folder.
    pub(crate) fn ended(self) -> (Ended, Folder) {
        (self.process.ended(), self.place.folder)
    }
}

impl Apart {
    pub(crate) fn start() -> Self {
        Self::start_with(Folder::new(), |_| ())
    }

    /// The same in a folder that may hold a configuration, with more for the issuer's command.
    pub(crate) fn start_with(folder: Folder, adjust: impl FnOnce(&mut Command)) -> Self {
        let clock = WallClock::new();
        let files = folder.join("files/reports");
        std::fs::create_dir_all(&files).unwrap();
        std::fs::write(files.join("q3.md"), "# Q3\n").unwrap();
        // The issuer has to know where the gateway will be, and the gateway
        // whom to trust; so the port is chosen first.
        let gateway = format!("http://127.0.0.1:{}", free_port());
        let data = folder.arg("issuer");
        let arguments = [
            "issuer",
            "--data-dir",
            &data,
            "--listen",
            "127.0.0.1:0",
            "--gateway-url",
            &gateway,
            "--json",
        ];
        let mut command = bailiwick(&arguments);
        clock.rule(&mut command);
        adjust(&mut command);
        let mut issuer = Running::start("bailiwick issuer", command);
        let ready = issuer.event("ready");
        let place = Place {
            data_dir: folder.join("issuer"),
            issuer: url(&ready["issuer"]),
            gateway,
            sign_in: ready["sign_in"].as_str().map(str::to_owned),
            folder,
        };
        let trust_anchor = ready["trust_anchor"].as_str().unwrap().to_owned();
        let mut apart = Self {
            clock,
            issuing: Some(issuer),
            guarding: None,
            trust_anchor,
            place,
        };
        apart.start_gateway(&[]);
        apart
    }

    /// Starts the gateway, which keeps its address and its data directory.
    pub(crate) fn start_gateway(&mut self, more: &[&str]) {
        let data = self.folder.arg("gateway");
        let files = self.folder.arg("files");
        let token = self.folder.arg("issuer/gateway.token");
        let listen = self.gateway.replace("http://", "");
        let mut arguments = vec!["gateway", "--data-dir", &data, "--listen", &listen];
        arguments.extend(["--issuer", self.issuer.as_str(), "--files-root", &files]);
        arguments.extend(["--trust-anchor", self.trust_anchor.as_str()]);
        arguments.extend(["--gateway-token-file", token.as_str(), "--json"]);
        arguments.extend(more);
        let mut command = bailiwick(&arguments);
        self.clock.rule(&mut command);
        let mut gateway = Running::start("bailiwick gateway", command);
        gateway.event("ready");
        self.guarding = Some(gateway);
    }

    /// Asks the issuer to end, and waits for it.
    pub(crate) fn stop_issuer(&mut self) {
        let issuer = self.issuing.take().expect("the issuer runs");
        issuer.signal("TERM");
        issuer.ended().expect_code(0);
    }

    /// Ends the issuer as a power cut would.
    pub(crate) fn kill_issuer(&mut self) {
        self.issuing.take().expect("the issuer runs").kill();
    }

    /// Ends the gateway as a power cut would.
    pub(crate) fn kill_gateway(&mut self) {
        self.guarding.take().expect("the gateway runs").kill();
    }
}

impl Deref for Bailiwick {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Deref for Apart {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

impl Place {
    /// The MCP endpoint, which is also the audience of tokens.
    pub(crate) fn mcp(&self) -> String {
        format!("{}/mcp", self.gateway)
    }

    /// A command that talks to these servers and prints JSON.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bailiwick(arguments);
        command
            .arg("--json")
            .current_dir(self.folder.path())
            .env("BAILIWICK_ISSUER", &self.issuer)
            .env("BAILIWICK_SERVER", &self.gateway)
            .env("BAILIWICK_DATA_DIR", &self.data_dir);
        command
    }

    /// Runs such a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Running::start(arguments[0], self.command(arguments)).ended()
    }

    /// Calls a tool with a token, through the command line.
    pub(crate) fn call_with(&self, token: &str, tool: &str, argument: &str) -> Ended {
        let file = self.folder.arg("presented-token");
        std::fs::write(&file, token).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        self.run(&["call", tool, "--arg", argument, "--token-file", &file])
    }

    /// The public key under which tokens are signed, as `ed25519/HEX`.
    pub(crate) fn mint_key(&self) -> String {
        let keys = self.run(&["keys"]).expect_code(0).json();
        keys["mint_keys"][0]["public"].as_str().unwrap().to_owned()
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The arguments of an `up` on free ports.
pub(crate) fn up_arguments(data_dir: &str) -> [&str; 8] {
    let any = "127.0.0.1:0";
    [
        "up",
        "--data-dir",
        data_dir,
        "--issuer",
        any,
        "--gateway",
        any,
        "--json",
    ]
}

/// A URL without its closing slash.
pub(crate) fn url(value: &Value) -> String {
    let url = value.as_str().unwrap_or_else(|| panic!("{value} is a URL"));
    url.trim_end_matches('/')
        .trim_end_matches("/mcp")
        .to_owned()
}
