//! A panic kept within the work it happened in.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// The work panicked; the panic hook has said where.
#[derive(Debug)]
pub struct Panicked;

/// Does `work`, and survives its panic. What it borrowed must be fit for use afterwards, as a leg is: plain values, each
/// whole between two statements.
pub async fn caught<T>(mut work: Pin<&mut impl Future<Output = T>>) -> Result<T, Panicked> {
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Ok),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}
