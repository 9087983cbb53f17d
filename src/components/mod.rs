//! Views of wire types and signals, one a file. They load nothing and know nothing of the server; a status is named by
//! `data-status`, and the style sheet gives it its colour.

#![expect(unreachable_pub, reason = "#[component] makes a second function of the same visibility, which nobody exports")]

pub mod format;
pub mod url;

mod browser;
mod connect_worker;
mod connection;
mod copy;
mod execution_detail;
mod feed;
mod health_card;
mod history_filters;
mod history_table;
mod imports;
mod notice;
mod pager;
mod skeleton;
mod status;
mod summary;
mod task_form;
mod task_types;
mod text_block;
mod theme;
mod timestamp;
mod trend;
mod window_links;
mod workers;

pub use connect_worker::ConnectWorker;
pub use connection::ConnectionStatus;
pub use copy::CopyButton;
pub use execution_detail::ExecutionDetail;
pub use feed::LiveFeed;
pub use health_card::HealthCard;
pub use history_filters::HistoryFilters;
pub use history_table::{HistoryRow, HistoryTable, row_link};
pub use imports::ImportList;
pub use notice::{Notice, Tone};
pub use pager::Pager;
pub use skeleton::{CardSkeletons, DetailSkeleton, RowSkeletons};
pub use status::{Icon, StalledCount, StalledTag, StatusBadge, StatusIcon};
pub use summary::Summary;
pub use task_form::TaskForm;
pub use task_types::TaskTypes;
pub use text_block::TextBlock;
pub use theme::{THEME_SCRIPT, ThemeSwitch};
pub use timestamp::Timestamp;
pub use trend::Trend;
pub use window_links::{WindowLinks, in_words as window_in_words};
pub use workers::{QueueTable, WorkerList};
