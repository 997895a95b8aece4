//! Upgraded connections (WebSockets): bytes both ways until one side ends, or the release that
//! they belong to has had its time.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::{exchange::Exchange, worker};

/// Both ends of a connection that is about to be upgraded. Carried with the answer that says so.
#[derive(Clone)]
pub(crate) struct Ends(Arc<Mutex<Option<(OnUpgrade, OnUpgrade)>>>);

impl Ends {
    pub(crate) fn new(client: OnUpgrade, app: OnUpgrade) -> Self {
        Self(Arc::new(Mutex::new(Some((client, app)))))
    }

    /// Joins them once both are upgraded. The exchange lasts as long.
    pub(crate) fn join(self, mut exchange: Box<Exchange>) {
        let Some((client, app)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
        else {
            return;
        };
        let conn = Arc::clone(&exchange.visit.conn);
        conn.become_tunnel();
        tokio::spawn(async move {
            // The connection's own task ends with the upgrade: only then is this one woken in its stead.
            let (Ok(client), Ok(app)) = tokio::join!(client, app) else {
                return;
            };
            let (mut client, mut app) = (TokioIo::new(client), TokioIo::new(app));
            tokio::select! {
                // How it ended is the two sides' own matter.
                copied = copy_bidirectional(&mut client, &mut app) => {
                    exchange.bytes = copied.map_or(0, |(_, to_client)| to_client);
                }
                () = worker::cut(&conn) => {}
            }
        });
    }
}
