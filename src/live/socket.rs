use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use futures::{
    StreamExt,
    channel::mpsc,
    future::{Either, select},
    pin_mut,
};
use gloo_net::websocket::{Message, WebSocketError, futures::WebSocket};
use gloo_timers::future::TimeoutFuture;
use leptos::{ev, leptos_dom::helpers, prelude::*, task::spawn_local_scoped_with_cancellation};
use taskscope_wire::LiveMessage;

use super::{Connection, Live, backoff};
use crate::{error::AppError, server_fns::get_me};

/// The server tells how it is at least every 20 seconds, so that a connection silent for so long (in milliseconds) is dead.
const SILENCE: u32 = 45_000;
/// What the server closes with once the session is over (RFC 6455: a policy is violated).
const SENT_AWAY: u16 = 1008;
/// How often a page that gets no animation frames takes what came: it is hidden, or the browser doesn't draw it for another reason.
const UNDRAWN: Duration = Duration::from_secs(1);

/// Keeps the page connected until it is left.
pub(super) fn run(live: Live) {
    let (wake, mut woken) = mpsc::unbounded();
    listen(wake);
    let inbox = Inbox::new(live);
    spawn_local_scoped_with_cancellation(async move {
        let mut failures = 0;
        loop {
            let greeted = connect(live, &inbox).await;
            failures = if greeted { 0 } else { failures + 1 };
            // A browser doesn't say why a connection is refused.
            if !greeted && get_me().await == Err(AppError::LoginNeeded) {
                log_in_again();
            }
            let pause = backoff(failures, js_sys::Math::random());
            live.set_connection(Connection::Disconnected { retry_in: pause.div_ceil(1000) });
            while woken.try_recv().is_ok() {}
            select(TimeoutFuture::new(pause), woken.next()).await;
        }
    });
}

/// Wakes the loop when the network is back and when the reader comes back to the page.
fn listen(wake: mpsc::UnboundedSender<()>) {
    let on_visible = wake.clone();
    let online = window_event_listener(ev::online, move |_| drop(wake.unbounded_send(())));
    let visible = helpers::window_event_listener_untyped("visibilitychange", move |_| {
        if !document().hidden() {
            drop(on_visible.unbounded_send(()));
        }
    });
    on_cleanup(move || {
        online.remove();
        visible.remove();
    });
}

/// One connection, from its beginning to its end. Says whether it worked.
async fn connect(live: Live, inbox: &Inbox) -> bool {
    inbox.flush();
    let Ok(mut socket) = WebSocket::open(&url(live)) else { return false };
    let mut greeted = false;
    loop {
        let text = {
            let next = socket.next();
            pin_mut!(next);
            match select(next, TimeoutFuture::new(SILENCE)).await {
                Either::Left((Some(Ok(Message::Text(text))), _)) => text,
                Either::Left((Some(Ok(Message::Bytes(_))), _)) => continue,
                Either::Left((Some(Err(WebSocketError::ConnectionClose(close))), _)) if close.code == SENT_AWAY => {
                    log_in_again();
                    return greeted;
                }
                Either::Left((Some(Err(_)) | None, _)) | Either::Right(_) => return greeted,
            }
        };
        match LiveMessage::decode_batch(&text) {
            Ok(messages) => {
                greeted |= messages.iter().any(|message| matches!(message, LiveMessage::Hello { .. }));
                inbox.put(messages);
            }
            Err(error) => leptos::logging::warn!("a frame of /ws was not understood: {error}"),
        }
        if greeted {
            live.set_connection(Connection::Connected);
        }
    }
}

/// Leads to the login, and from there back to this page.
fn log_in_again() {
    let location = window().location();
    let here = location.pathname().unwrap_or_default() + &location.search().unwrap_or_default();
    let next = String::from(js_sys::encode_uri_component(&here));
    // Where it can't be left, the page says that it isn't connected.
    let _ = location.assign(&format!("/login?next={next}"));
}

fn url(live: Live) -> String {
    let location = window().location();
    let scheme = if location.protocol().as_deref() == Ok("https:") { "wss" } else { "ws" };
    let host = location.host().unwrap_or_default();
    let resume = live.position().map(|position| {
        let epoch = String::from(js_sys::encode_uri_component(&position.epoch));
        format!("&epoch={epoch}&seq={}", position.seq)
    });
    format!("{scheme}://{host}/ws?batch=1{}", resume.unwrap_or_default())
}

/// Messages that wait for the next frame.
#[derive(Clone)]
struct Inbox(Rc<Waiting>);

struct Waiting {
    live: Live,
    messages: RefCell<Vec<LiveMessage>>,
    frame: Cell<bool>,
    timer: Cell<bool>,
}

impl Inbox {
    fn new(live: Live) -> Self {
        Self(Rc::new(Waiting { live, messages: RefCell::default(), frame: Cell::new(false), timer: Cell::new(false) }))
    }

    fn put(&self, messages: Vec<LiveMessage>) {
        self.0.messages.borrow_mut().extend(messages);
        if !self.0.timer.replace(true) {
            let inbox = self.clone();
            set_timeout(
                move || {
                    inbox.0.timer.set(false);
                    inbox.flush();
                },
                UNDRAWN,
            );
        }
        if !document().hidden() && !self.0.frame.replace(true) {
            let inbox = self.clone();
            request_animation_frame(move || {
                inbox.0.frame.set(false);
                inbox.flush();
            });
        }
    }

    fn flush(&self) {
        let messages = self.0.messages.take();
        if !messages.is_empty() {
            self.0.live.receive(messages);
        }
    }
}
