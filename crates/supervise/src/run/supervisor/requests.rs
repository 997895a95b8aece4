//! What clients ask.

use landfall_supervise::{
    control::{Answer, Request},
    state::Ended,
};
use rustix::event::PollFlags;

use super::Supervisor;

impl Supervisor {
    /// Reads from and writes to a client.
    pub(super) fn serve(&mut self, index: usize, events: PollFlags) {
        let answer = Answer::State(Box::new(self.current()));
        let Some(clients) = &mut self.clients else {
            return;
        };
        if events.contains(PollFlags::OUT) {
            clients.write(index, &answer);
        }
        if events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            for request in clients.read(index) {
                self.answer(index, request);
            }
        }
    }

    /// How it is, with the number of the last published state.
    fn current(&self) -> landfall_supervise::state::State {
        self.state()
    }

    fn answer(&mut self, index: usize, request: Result<Request, String>) {
        let refused = |reason: String| Answer::Refused { reason };
        let answer = match request {
            Err(reason) => refused(reason),
            Ok(Request::State) => Answer::State(Box::new(self.current())),
            Ok(Request::Watch) => {
                let state = Answer::State(Box::new(self.current()));
                if let Some(clients) = &mut self.clients {
                    clients.watch(index, &state);
                }
                return;
            }
            Ok(Request::Stop) => {
                self.remark("asked to stop".to_owned());
                self.stop(Ended::Stopped, false);
                Answer::Accepted
            }
            Ok(Request::Restart { process }) => match self.restart(process.as_deref()) {
                Ok(()) => Answer::Accepted,
                Err(reason) => refused(reason),
            },
            Ok(Request::Sockets) => {
                let sockets = self.sockets.all();
                if let Some(clients) = &mut self.clients {
                    clients.answer_sockets(index, &sockets);
                }
                return;
            }
            Ok(Request::Listen(wanted)) => match self.sockets.listen(&wanted) {
                Ok(sockets) => {
                    if let Some(clients) = &mut self.clients {
                        clients.answer_sockets(index, &sockets);
                    }
                    return;
                }
                Err(reason) => refused(reason),
            },
            Ok(Request::Close { name }) => {
                if self.sockets.close(&name) {
                    Answer::Accepted
                } else {
                    refused(format!("no sockets of the name {name:?} are held"))
                }
            }
        };
        if let Some(clients) = &mut self.clients {
            clients.answer(index, &answer);
        }
    }
}
