//! Stopping: one signal asks for a clean stop, and everything that waits listens for it.

use tokio::sync::watch;

/// A request to stop, shared by threads and tasks.
#[derive(Debug, Clone)]
pub struct Shutdown {
    sender: watch::Sender<bool>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { sender: watch::Sender::new(false) }
    }
}

impl Shutdown {
    /// Asks everyone to stop.
    pub fn request(&self) {
        self.sender.send_replace(true);
    }

    /// True once a stop was asked for.
    pub fn is_requested(&self) -> bool {
        *self.sender.borrow()
    }

    /// Waits until a stop is asked for.
    pub async fn wait(&self) {
        let mut receiver = self.sender.subscribe();
        // The sender lives in `self`, so it can't be gone.
        let _ = receiver.wait_for(|requested| *requested).await;
    }

    /// Asks for a stop at the first SIGTERM or SIGINT; a second one ends the process at once.
    /// To be called within a runtime.
    ///
    /// # Errors
    /// When signals can't be listened to.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            for second in [false, true] {
                let code = tokio::select! { _ = term.recv() => 143, _ = int.recv() => 130 };
                if second {
                    std::process::exit(code);
                }
                tracing::info!("the program stops; a second signal ends it at once");
                shutdown.request();
            }
        });
        Ok(())
    }
}
