//! The executor of the example `custom_executor` keeps the contract of executors.

#![forbid(unsafe_code)]

mod function_executor;

use std::path::PathBuf;
use std::sync::Arc;

use function_executor::FunctionExecutor;
use jobyard_core::{Executor, Output, OutputStream, StartFailure};
use jobyard_testkit::executor::ExecutorFactory;

struct Functions;

async fn print(text: String, output: Output) -> i32 {
    output.write(OutputStream::Stdout, text.into()).await;
    0
}

async fn fail(code: String, _output: Output) -> i32 {
    code.parse().expect("the suite asks for numbers")
}

async fn hang(_argument: String, output: Output) -> i32 {
    output.write(OutputStream::Stdout, "ready\n".into()).await;
    std::future::pending().await
}

impl ExecutorFactory for Functions {
    fn executor(&self) -> Arc<dyn Executor> {
        let functions = FunctionExecutor::default();
        Arc::new(
            functions
                .with("print", print)
                .with("fail", fail)
                .with("hang", hang),
        )
    }

    fn scratch(&self) -> PathBuf {
        PathBuf::from("/nonexistent")
    }

    fn prints(&self, text: &str) -> String {
        format!("print {text}")
    }

    fn prints_both(&self, _out: &str, _err: &str) -> String {
        unreachable!("there is one stream")
    }

    fn fails(&self, code: i32) -> Option<String> {
        Some(format!("fail {code}"))
    }

    fn runs_until_stopped(&self) -> String {
        "hang".to_owned()
    }

    fn cannot_start(&self) -> Option<(String, StartFailure)> {
        None
    }

    fn unreadable(&self) -> String {
        "dance".to_owned()
    }
}

jobyard_testkit::executor_suite!(#[tokio::test], Functions);
