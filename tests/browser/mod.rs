//! A browser for tests: Chromium without a window, driven as a person would.
//!
//! ```no_run
//! let mut browser = Browser::start();
//! browser.navigate("http://127.0.0.1:8080/");
//! browser.click("#q");
//! browser.type_text("acme");
//! browser.wait_until("document.querySelectorAll('#hits > li').length === 3");
//! browser.press("ArrowDown");
//! assert!(browser.console_errors().is_empty());
//! ```

mod cdp;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use self::cdp::Connection;

/// How long a start takes at most, on a machine that builds beside it.
const START: Duration = Duration::from_secs(60);
/// How long [`Browser::wait_until`] waits.
const WAIT: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(25);
const SWITCHES: &[&str] = &[
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-background-timer-throttling",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--force-prefers-no-reduced-motion",
    "--lang=en",
    "--mute-audio",
    "--no-proxy-server",
    "--password-store=basic",
    "--remote-debugging-port=0",
    "--window-size=1280,900",
];

/// One browser at a time: two share a small machine badly.
static TURN: Mutex<()> = Mutex::new(());

/// A browser with one tab. It ends when it is dropped.
pub struct Browser {
    connection: Connection,
    child: Child,
    console: Vec<String>,
    violations: Vec<String>,
    _profile: TempDir,
    _turn: MutexGuard<'static, ()>,
}

/// One node of the tree that a screen reader is told.
#[derive(Debug, Clone)]
pub struct Accessible {
    pub role: String,
    pub name: String,
}

impl Browser {
    /// Starts the browser that `TRIBUTARY_CHROMIUM` names, else the first that is installed.
    pub fn start() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let profile = tempfile::tempdir().unwrap();
        let log = profile.path().join("browser.log");
        let mut command = Command::new(program());
        command.args(SWITCHES).arg(format!("--user-data-dir={}", profile.path().display()));
        if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            command.arg("--no-sandbox");
        }
        command.arg("about:blank").stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        let mut child = command.stderr(File::create(&log).unwrap()).spawn().expect("the browser starts");
        let Some((port, path)) = listening(profile.path(), &mut child) else {
            end(&mut child);
            panic!("the browser did not start: {}", fs::read_to_string(&log).unwrap_or_default());
        };
        let mut connection = Connection::open(port, &path);
        connection.attach_to_new_tab();
        for domain in ["Page", "Runtime", "Log", "DOM", "Accessibility", "Audits"] {
            connection.call(&format!("{domain}.enable"), &json!({}));
        }
        Self { connection, child, console: vec![], violations: vec![], _profile: profile, _turn: turn }
    }

    /// Opens an address and waits until it has loaded.
    pub fn navigate(&mut self, url: &str) {
        let answer = self.connection.call("Page.navigate", &json!({"url": url}));
        assert!(answer.get("errorText").is_none(), "{url}: {answer}");
        self.wait_until("document.readyState === 'complete'");
    }

    /// The value of an expression; a promise is waited for. An exception ends the test.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        self.try_evaluate(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    /// As [`Browser::evaluate`], as text.
    pub fn text(&mut self, expression: &str) -> String {
        match self.evaluate(expression) {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    fn try_evaluate(&mut self, expression: &str) -> Result<Value, String> {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true});
        let answer = self.connection.try_call("Runtime.evaluate", &asked)?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(thrown["exception"]["description"].as_str().unwrap_or("threw").to_owned()),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Waits until the expression is true; when it does not come to be, tells the page's content.
    pub fn wait_until(&mut self, condition: &str) {
        self.wait_for(condition, WAIT);
    }

    /// As [`Browser::wait_until`], with a deadline of one's own.
    pub fn wait_for(&mut self, condition: &str, time: Duration) {
        let until = Instant::now() + time;
        let mut last = Err(String::new());
        while Instant::now() < until {
            last = self.try_evaluate(&format!("Boolean({condition})"));
            if last == Ok(json!(true)) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let shown = self.try_evaluate("location.href + '\\n' + document.body.innerText.slice(0, 2000)");
        panic!(
            "it did not come to be in {time:?}: {condition} ({last:?})\n{}\nconsole: {:?}",
            shown.ok().and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default(),
            self.console_errors()
        );
    }

    /// Types into the element that has the focus, letter by letter.
    pub fn type_text(&mut self, text: &str) {
        for letter in text.chars() {
            let letter = letter.to_string();
            let key = json!({"type": "keyDown", "key": letter, "text": letter, "unmodifiedText": letter});
            self.connection.call("Input.dispatchKeyEvent", &key);
            self.connection.call("Input.dispatchKeyEvent", &json!({"type": "keyUp", "key": letter}));
        }
    }

    /// Presses a key by its name: `Enter`, `ArrowDown`, `Shift+Tab`, `Alt+ArrowUp`, `/`.
    pub fn press(&mut self, key: &str) {
        let (modifiers, name) = match key.rsplit_once('+') {
            Some((modifiers, name)) if !name.is_empty() => (modifiers, name),
            _ => ("", key),
        };
        let bits = [("Alt", 1), ("Control", 2), ("Meta", 4), ("Shift", 8)];
        let set: u32 = bits
            .iter()
            .filter(|(name, _)| modifiers.split('+').any(|one| one == *name))
            .map(|(_, bit)| bit)
            .sum();
        let (code, text) = key_of(name);
        let mut event = json!({
            "type": if text.is_empty() { "rawKeyDown" } else { "keyDown" }, "key": name, "code": name,
            "windowsVirtualKeyCode": code, "nativeVirtualKeyCode": code, "modifiers": set,
        });
        if !text.is_empty() {
            event["text"] = json!(text);
        }
        self.connection.call("Input.dispatchKeyEvent", &event);
        event["type"] = json!("keyUp");
        self.connection.call("Input.dispatchKeyEvent", &event);
    }

    /// Clicks the middle of the first element of this selector, as soon as it is there.
    pub fn click(&mut self, selector: &str) {
        let found = format!("document.querySelector({})", json!(selector));
        self.wait_until(&format!("{found}?.getClientRects().length > 0"));
        let place = self.evaluate(&format!(
            "(() => {{ const node = {found}; node.scrollIntoView({{ block: 'center' }}); \
             const box = node.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        ));
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1});
            self.connection.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// The size of the window; `mobile` as on a phone, where the page's own viewport counts.
    pub fn set_viewport(&mut self, width: u32, height: u32, mobile: bool) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.connection.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Whether the person prefers dark colours.
    pub fn set_dark(&mut self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.connection.call("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// The nodes that a screen reader is told of the page.
    pub fn accessibility(&mut self) -> Vec<Accessible> {
        let tree = self.connection.call("Accessibility.getFullAXTree", &json!({}));
        let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
        let text = |node: &Value, field: &str| node[field]["value"].as_str().unwrap_or_default().to_owned();
        nodes
            .iter()
            .filter(|node| node["ignored"] == false)
            .map(|node| Accessible { role: text(node, "role"), name: text(node, "name") })
            .collect()
    }

    /// Errors of the console, uncaught exceptions and dialogs since the start.
    pub fn console_errors(&mut self) -> Vec<String> {
        self.collect();
        self.console.clone()
    }

    /// The violations of the page's content security policy since the start.
    pub fn policy_violations(&mut self) -> Vec<String> {
        self.collect();
        self.violations.clone()
    }

    /// Forgets the errors and violations so far, where a test brought them about.
    pub fn forget_errors(&mut self) {
        self.collect();
        self.console.clear();
        self.violations.clear();
    }

    fn collect(&mut self) {
        // Events come in order, so that all before this answer have come with it.
        let _ = self.try_evaluate("0");
        for event in self.connection.events() {
            let told = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Runtime.consoleAPICalled"
                    if ["error", "assert"].iter().any(|kind| told["type"] == *kind) =>
                {
                    self.console.push(told["args"].to_string());
                }
                "Runtime.exceptionThrown" => {
                    self.console.push(told["exceptionDetails"]["exception"]["description"].to_string());
                }
                "Log.entryAdded" if told["entry"]["level"] == "error" => {
                    self.console.push(format!("{} {}", told["entry"]["text"], told["entry"]["url"]));
                }
                "Page.javascriptDialogOpening" => self.console.push(format!("a dialog: {}", told["message"])),
                "Audits.issueAdded" if told["issue"]["code"] == "ContentSecurityPolicyIssue" => {
                    self.violations.push(told["issue"]["details"].to_string());
                }
                _ => {}
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends the browser with all its processes, which are a group of their own.
fn end(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    let _ = child.kill();
    let _ = child.wait();
}

fn program() -> String {
    if let Ok(named) = std::env::var("TRIBUTARY_CHROMIUM") {
        return named;
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&str| std::env::split_paths(&folders).any(|folder| folder.join(name).is_file());
    let found = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(is_there);
    found
        .expect("the tests of the page need a browser: apt-get install chromium, or TRIBUTARY_CHROMIUM=path")
        .to_owned()
}

/// The port and the path that the browser writes down once it listens.
fn listening(profile: &Path, child: &mut Child) -> Option<(u16, String)> {
    let until = Instant::now() + START;
    while Instant::now() < until && child.try_wait().ok()?.is_none() {
        let told = fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
        if let Some((port, path)) = told.trim_end().split_once('\n') {
            return Some((port.parse().ok()?, path.to_owned()));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    None
}

/// The code of a key and the text that it types.
fn key_of(name: &str) -> (u32, &str) {
    match name {
        "Enter" => (13, "\r"),
        "Tab" => (9, ""),
        "Escape" => (27, ""),
        "Backspace" => (8, ""),
        "Space" => (32, " "),
        "PageUp" => (33, ""),
        "PageDown" => (34, ""),
        "End" => (35, ""),
        "Home" => (36, ""),
        "ArrowLeft" => (37, ""),
        "ArrowUp" => (38, ""),
        "ArrowRight" => (39, ""),
        "ArrowDown" => (40, ""),
        "Delete" => (46, ""),
        letter => (letter.chars().next().map_or(0, |letter| letter.to_ascii_uppercase() as u32), letter),
    }
}
