//! Threads with a large stack. Each thread that runs programs has one of its own beside it, which ends with it.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Builder;

use super::meter::{Exhaustion, THREAD_STACK_BYTES, UNITS, begin};
use super::{CompiledProgram, evaluate};

type ProgramAnswer = Result<Option<Vec<u8>>, String>;

struct Job {
    compiled: Arc<CompiledProgram>,
    input: Vec<u8>,
    units: u64,
    answer: Sender<ProgramAnswer>,
}

thread_local! {
    static JOBS: RefCell<Option<Sender<Job>>> = const { RefCell::new(None) };
}

/// Runs a program on the thread beside this one.
pub(super) fn run(compiled: Arc<CompiledProgram>, input: Vec<u8>, units: u64) -> ProgramAnswer {
    let (answer, result) = channel();
    let job = Job { compiled, input, units, answer };
    JOBS.with(|jobs| {
        let mut jobs = jobs.borrow_mut();
        let unsent = match jobs.as_ref() {
            Some(jobs) => jobs.send(job).err().map(|error| error.0),
            None => Some(job),
        };
        let Some(job) = unsent else { return Ok(()) };
        let started = start()?;
        // A thread that has just begun takes jobs.
        let _ = started.send(job);
        *jobs = Some(started);
        Ok::<(), String>(())
    })?;
    result.recv().unwrap_or_else(|_| Err("the evaluation broke off".to_owned()))
}

fn start() -> Result<Sender<Job>, String> {
    let (jobs, queue): (Sender<Job>, Receiver<Job>) = channel();
    let work = move || {
        for Job { compiled, input, units, answer } in queue {
            let result = catch_panic(|| evaluate(&compiled, &input, units)).and_then(|answer| answer);
            // No receiver waits for an answer any more when this fails.
            let _ = answer.send(result);
        }
    };
    spawn(work).map(|_| jobs)
}

/// Runs a piece of work once on a thread of its own.
pub(super) fn on_large_stack<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let task = move || {
        begin(UNITS);
        catch_panic(work)
    };
    spawn(task)?.join().unwrap_or_else(|_| Err("it could not be read".to_owned()))
}

fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<std::thread::JoinHandle<T>, String> {
    let builder = Builder::new().name("jq".to_owned()).stack_size(THREAD_STACK_BYTES);
    builder.spawn(work).map_err(|error| format!("no thread can be started for it: {error}"))
}

/// Makes an error of a panic.
fn catch_panic<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|thrown: Box<dyn Any + Send>| {
        match thrown.downcast_ref::<Exhaustion>() {
            Some(Exhaustion(reason)) => format!("the evaluation is given up: {reason}"),
            None => "the evaluation broke off in the library".to_owned(),
        }
    })
}
