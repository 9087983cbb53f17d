use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{Failure, Json, Reporter, Run, Work};

/// Any error, as tower's own layers have it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Reports every call of a service as a task.
///
/// It changes nothing but the type of the error, which becomes a [`BoxError`]. A panic is reported and goes on; a future that is dropped
/// before it ended is reported as cancelled. If a closure given here panics, the call is not reported or has no preview.
#[derive(Debug)]
pub struct ReportLayer<D, P = NoPreview> {
    reporter: Reporter,
    describe: Arc<D>,
    preview: Arc<P>,
}

/// Says which task a request is: the closure of [`ReportLayer::new`].
pub trait Describe<Request> {
    /// The task, or nothing if the call is not to be reported.
    fn describe(&self, request: &Request) -> Option<Work>;
}

impl<Request, F: Fn(&Request) -> Option<Work>> Describe<Request> for F {
    fn describe(&self, request: &Request) -> Option<Work> {
        self(request)
    }
}

/// Says what a call reports of its response: a closure of [`ReportLayer::result`], or nothing.
pub trait Preview<Response> {
    /// A preview of the response.
    fn preview(&self, response: &Response) -> Option<Json>;
}

/// Responses are not reported.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPreview;

impl<Response> Preview<Response> for NoPreview {
    fn preview(&self, _: &Response) -> Option<Json> {
        None
    }
}

impl<Response, F: Fn(&Response) -> Option<Json>> Preview<Response> for F {
    fn preview(&self, response: &Response) -> Option<Json> {
        self(response)
    }
}

impl<D> ReportLayer<D> {
    /// Reports calls as `describe` says, which is called in the task's way and should be quick. Calls of which it says nothing are not
    /// reported.
    #[must_use]
    pub fn new<Request>(reporter: Reporter, describe: D) -> Self
    where
        D: Fn(&Request) -> Option<Work>,
    {
        Self::with(reporter, describe)
    }

    pub(crate) fn with(reporter: Reporter, describe: D) -> Self {
        Self { reporter, describe: Arc::new(describe), preview: Arc::new(NoPreview) }
    }
}

impl<D, P> ReportLayer<D, P> {
    /// Reports a preview of responses.
    #[must_use]
    pub fn result<Response, F>(self, preview: F) -> ReportLayer<D, F>
    where
        F: Fn(&Response) -> Option<Json>,
    {
        ReportLayer { reporter: self.reporter, describe: self.describe, preview: Arc::new(preview) }
    }
}

impl<D, P> Clone for ReportLayer<D, P> {
    fn clone(&self) -> Self {
        Self { reporter: self.reporter.clone(), describe: Arc::clone(&self.describe), preview: Arc::clone(&self.preview) }
    }
}

impl<S, D, P> Layer<S> for ReportLayer<D, P> {
    type Service = ReportService<S, D, P>;

    fn layer(&self, service: S) -> Self::Service {
        ReportService { service, layer: self.clone() }
    }
}

/// The service of a [`ReportLayer`].
#[derive(Debug)]
pub struct ReportService<S, D, P = NoPreview> {
    service: S,
    layer: ReportLayer<D, P>,
}

impl<S: Clone, D, P> Clone for ReportService<S, D, P> {
    fn clone(&self) -> Self {
        Self { service: self.service.clone(), layer: self.layer.clone() }
    }
}

impl<S, D, P, Request> Service<Request> for ReportService<S, D, P>
where
    S: Service<Request>,
    S::Error: Into<BoxError>,
    D: Describe<Request>,
    P: Preview<S::Response>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ReportFuture<S::Future, P>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.service.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let work = unless_it_panics(|| self.layer.describe.describe(&request)).flatten();
        let mut run = work.map(|work| self.layer.reporter.start(work));
        let future = reporting_panics(&mut run, || self.service.call(request));
        ReportFuture { future, run, preview: Arc::clone(&self.layer.preview) }
    }
}

pin_project! {
    /// The future of a [`ReportService`].
    #[derive(Debug)]
    pub struct ReportFuture<F, P> {
        #[pin]
        future: F,
        // There until the end is reported, if it is reported at all.
        run: Option<Run>,
        preview: Arc<P>,
    }
}

impl<F, P, Response, E> Future for ReportFuture<F, P>
where
    F: Future<Output = Result<Response, E>>,
    E: Into<BoxError>,
    P: Preview<Response>,
{
    type Output = Result<Response, BoxError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(reporting_panics(this.run, || this.future.poll(context)));
        let result = result.map_err(Into::into);
        if let Some(run) = this.run.take() {
            match &result {
                Ok(response) => run.succeed(unless_it_panics(|| this.preview.preview(response)).flatten()),
                Err(error) => run.fail(failure(error)),
            }
        }
        Poll::Ready(result)
    }
}

/// Reports a panic of the task with its message, and lets it go on.
fn reporting_panics<T>(run: &mut Option<Run>, task: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(task)).unwrap_or_else(|panic| {
        if let Some(run) = run.take() {
            run.fail(Failure::from_panic(&*panic));
        }
        resume_unwind(panic)
    })
}

fn failure(error: &BoxError) -> Failure {
    unless_it_panics(|| Failure::from(&**error)).unwrap_or_else(|| Failure::new("an error whose message can't be written"))
}

/// What others wrote and a task has no part in must not end the task.
fn unless_it_panics<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}
