//! `/ws`: live messages to one watcher.
//!
//! The watcher gives its place in the URL (`epoch`, `seq`), if it has one. The first message is a *hello*, before which a server that
//! starts without its database tells only how it is; if it says `recovered`, all
//! that was missed follows, then what happens. `batch=1` asks for arrays of messages instead of single ones: far fewer frames when
//! much happens. A watcher that can't keep up gets a *gap* and goes on with what is new. One whose session or token is over is closed with code 1008.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code},
    },
    response::{IntoResponse, Response},
};
use futures::{SinkExt, StreamExt, stream::SplitSink};
use taskscope_wire::{ErrorBody, LiveMessage, Position, ServerState, WatchQuery};
use tokio::sync::broadcast::error::RecvError;

use super::{admit::Doors, error::ApiError};
use crate::server::{
    access::{Caller, Gate},
    hub::{Frame, Hub, Subscription},
};

/// How often a watcher hears of the server even if nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a watcher may take to accept a message.
const SEND_LIMIT: Duration = Duration::from_secs(20);

/// How long a place is waited for that this server hasn't come to, and how often a watcher hears of a server without a stream.
const PLACE_LIMIT: Duration = Duration::from_secs(1);

/// How many may watch at once. A connection that became a socket gives its place among the connections back.
const MOST_WATCHERS: usize = 10_000;

/// Watch what happens, live. Messages are described with the schemas `LiveEvent`, `AnalysisEvent` (whose data
/// is a `Run`, `Progress` or `ProposalsCreated`) and `ServerState`.
#[utoipa::path(
    get, path = "/ws", tag = "monitoring",
    params(
        ("epoch" = Option<String>, Query, description = "The stream that is known"),
        ("seq" = Option<i64>, Query, description = "The last message that is known"),
        ("batch" = Option<String>, Query, description = "1: arrays of messages"),
    ),
    responses(
        (status = 101, description = "The connection is a WebSocket now"),
        (status = 503, description = "Too many watch already: come again after Retry-After", body = ErrorBody),
    ),
)]
pub(super) async fn watch(
    State(hub): State<Hub>,
    State(doors): State<Doors>,
    Extension(caller): Extension<Caller>,
    axum::extract::Query(wishes): axum::extract::Query<WatchQuery>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if hub.watchers() >= MOST_WATCHERS {
        return ApiError::Unavailable("too many watch already: come again later".to_owned()).into_response();
    }
    // Small buffers: the default would cost 128 KB a connection.
    upgrade
        .read_buffer_size(1024)
        .write_buffer_size(4 * 1024)
        .max_write_buffer_size(4 * 1024 * 1024)
        .max_message_size(4 * 1024)
        .on_upgrade(move |socket| serve(socket, hub, wishes, doors.gate, caller))
}

async fn serve(socket: WebSocket, hub: Hub, wishes: WatchQuery, gate: Gate, caller: Caller) {
    let known = wishes.known();
    let (sink, mut inbox) = socket.split();
    let mut watcher = Watcher { sink, batch: wishes.wants_arrays(), next: 0 };
    // Whatever the watcher says is read and dropped: that is how its closing is noticed, and how pings are answered.
    let listening = async { while let Some(Ok(_)) = inbox.next().await {} };
    tokio::select! {
        () = listening => {}
        _ = watcher.watch(hub, known) => {}
        () = gate.ended(&caller) => watcher.send_away().await,
    }
}

struct Watcher {
    sink: SplitSink<WebSocket, Message>,
    batch: bool,
    /// The number of the next message that it needs.
    next: i64,
}

/// The watcher is gone, or too slow to matter.
struct Gone;

impl Watcher {
    async fn watch(&mut self, hub: Hub, known: Option<Position>) -> Result<(), Gone> {
        while tokio::time::timeout(PLACE_LIMIT, hub.comes_to(known.as_ref())).await.is_err() && !hub.is_known() {
            self.say_server(hub.server()).await?;
        }
        let subscription = hub.subscribe(known.as_ref());
        // The server may stop meanwhile.
        drop(hub);
        self.next = match known {
            Some(known) if subscription.recovered => known.seq + 1,
            _ => subscription.position.seq + 1,
        };
        self.follow(subscription).await
    }

    async fn follow(&mut self, subscription: Subscription) -> Result<(), Gone> {
        let Subscription { position, recovered, missed, mut frames, mut server } = subscription;
        self.say(LiveMessage::Hello { position, recovered }).await?;
        let state = server.borrow_and_update().clone();
        self.say_server(state).await?;
        for frame in missed {
            self.send(&frame).await?;
        }
        loop {
            tokio::select! {
                received = frames.recv() => match received {
                    Ok(frame) => self.send(&frame).await?,
                    // What was skipped shows in the number of the next frame.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Ok(()),
                },
                changed = server.changed() => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let state = server.borrow_and_update().clone();
                    self.say_server(state).await?;
                }
                () = tokio::time::sleep(HEARTBEAT) => {
                    let state = server.borrow().clone();
                    self.say_server(state).await?;
                }
            }
        }
    }

    async fn send(&mut self, frame: &Arc<Frame>) -> Result<(), Gone> {
        if frame.last_seq() < self.next {
            return Ok(());
        }
        if frame.first_seq > self.next {
            self.say(LiveMessage::Gap { from: self.next, to: frame.first_seq - 1 }).await?;
        }
        let known = usize::try_from(self.next - frame.first_seq).unwrap_or(0);
        self.next = frame.last_seq() + 1;
        if self.batch && known == 0 {
            return self.put(frame.array.clone()).await;
        }
        if self.batch {
            let messages: Vec<&str> = frame.messages_after(known).collect();
            return self.put(format!("[{}]", messages.join(",")).into()).await;
        }
        for message in frame.messages_after(known) {
            self.put(message.into()).await?;
        }
        Ok(())
    }

    /// Tells a watcher whose session or token is over.
    async fn send_away(&mut self) {
        let close = CloseFrame { code: close_code::POLICY, reason: "log in again".into() };
        // It may be gone already.
        let _ = tokio::time::timeout(SEND_LIMIT, self.sink.send(Message::Close(Some(close)))).await;
    }

    async fn say_server(&mut self, state: ServerState) -> Result<(), Gone> {
        self.say(LiveMessage::Server(state)).await
    }

    async fn say(&mut self, message: LiveMessage) -> Result<(), Gone> {
        let text = message.encode().map_err(|_| Gone)?;
        self.put(if self.batch { format!("[{text}]").into() } else { text.into() }).await
    }

    async fn put(&mut self, text: Utf8Bytes) -> Result<(), Gone> {
        match tokio::time::timeout(SEND_LIMIT, self.sink.send(Message::Text(text))).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Gone),
        }
    }
}
