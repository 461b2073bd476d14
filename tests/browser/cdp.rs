//! A client of the Chrome DevTools Protocol: commands and their answers, events in their order.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// No command takes so long.
const ANSWER_TIME: Duration = Duration::from_secs(30);

pub struct Connection {
    socket: WebSocket<TcpStream>,
    last: u64,
    session: Option<String>,
    events: VecDeque<Value>,
}

impl Connection {
    /// To the browser that listens on this port.
    pub fn open(port: u16, path: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the browser listens");
        stream.set_read_timeout(Some(ANSWER_TIME)).unwrap();
        stream.set_nodelay(true).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://127.0.0.1:{port}{path}"), stream)
            .unwrap_or_else(|error| panic!("the browser refuses the connection: {error}"));
        Self { socket, last: 0, session: None, events: VecDeque::new() }
    }

    /// A tab of its own; every later question is asked of it.
    pub fn attach_to_new_tab(&mut self) {
        let target = self.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call("Target.attachToTarget", &attached);
        self.session = session["sessionId"].as_str().map(str::to_owned);
    }

    /// The command's result; its error ends the test.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The command's result, or the browser's error.
    pub fn try_call(&mut self, method: &str, parameters: &Value) -> Result<Value, String> {
        let id = self.send(method, parameters)?;
        loop {
            let message = self.read()?;
            if message["id"] == id {
                return match message.get("error") {
                    Some(error) => Err(error.to_string()),
                    None => Ok(message["result"].clone()),
                };
            }
            if message.get("method").is_some() {
                self.take(message)?;
            }
        }
    }

    /// The events since the last time.
    pub fn events(&mut self) -> Vec<Value> {
        self.events.drain(..).collect()
    }

    fn send(&mut self, method: &str, parameters: &Value) -> Result<u64, String> {
        self.last += 1;
        let mut command = json!({"id": self.last, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(command.to_string())).map_err(|error| error.to_string())?;
        Ok(self.last)
    }

    fn read(&mut self) -> Result<Value, String> {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    return serde_json::from_str(text.as_str()).map_err(|error| error.to_string());
                }
                Ok(_) => {}
                Err(error) => return Err(format!("the browser does not answer: {error}")),
            }
        }
    }

    /// A dialog holds the whole page up, and with it the answer that is waited for.
    fn take(&mut self, event: Value) -> Result<(), String> {
        if event["method"] == "Page.javascriptDialogOpening" {
            self.send("Page.handleJavaScriptDialog", &json!({"accept": true}))?;
        }
        self.events.push_back(event);
        Ok(())
    }
}
