//! A network between a master and those who talk to it, that does what a test says.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::narrow_link::NarrowLink;
use crate::program::GUARD;

/// How much is read at once. What is under way when a direction is held is at most this, and what the system buffers.
const PIECE: usize = 16 * 1024;

/// A TCP proxy. At first it delivers everything at once.
///
/// It works on streams, as a network looks to those who use TCP over it: nothing is lost from the middle of a stream.
/// A direction that is [held](Proxy::hold) delivers nothing and says nothing, as when all packets of it are lost, and
/// goes on where it stood once it is [let go](Proxy::heal), as when they are sent again. New connections are accepted
/// meanwhile, and nobody answers on them.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    rules: watch::Sender<Rules>,
    seen: watch::Sender<Seen>,
    /// Runs the network; ends with this value.
    runtime: Option<Runtime>,
}

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What workers and clients say.
    ToMaster,
    /// What the master says.
    FromMaster,
}

/// How the network behaves.
#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    held: [bool; 2],
    delay: Duration,
    bytes_per_second: Option<u32>,
    idle: Option<Duration>,
    /// The first connection that carries so much this way is the last one, until the network is healed.
    cut_after: Option<(Way, u64)>,
    /// Connections of an earlier life of the network are reset.
    life: u64,
}

/// What the network has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    connections: u64,
    /// How many bytes have come into a direction that was held since [`Proxy::hold`].
    stuck: [u64; 2],
    /// How many bytes were delivered.
    delivered: [u64; 2],
    /// How often connections were cut after so many bytes.
    cuts: u64,
    /// How many connections there are now.
    open: u64,
    /// How many connections were forgotten because nothing was said on them.
    idle: u64,
}

impl Proxy {
    /// A network that ends at this address.
    ///
    /// # Panics
    ///
    /// When the machine has no port left.
    pub fn to(master: &str) -> Self {
        Self::over(master, None)
    }

    /// A network that ends at this address, and all of which goes over one link of this rate, whatever the direction and the
    /// connection, with a buffer of so many bytes before it. What comes first is carried first; it does nothing else that
    /// tests may say, but for resets.
    ///
    /// # Panics
    ///
    /// When the machine has no port left.
    pub fn narrow(master: &str, bytes_per_second: u32, buffer: usize) -> Self {
        Self::over(master, Some(NarrowLink::new(bytes_per_second, buffer)))
    }

    fn over(master: &str, narrow: Option<NarrowLink>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let master: SocketAddr = master.parse().expect("an address");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (rules, following) = watch::channel(Rules::default());
        let seen = watch::Sender::new(Seen::default());
        runtime.spawn(serve(
            listener,
            master,
            (rules.clone(), following),
            seen.clone(),
            narrow,
        ));
        Self {
            address,
            rules,
            seen,
            runtime: Some(runtime),
        }
    }

    /// Where it listens, as `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on nothing is delivered this way. Connections stay open.
    pub fn hold(&self, way: Way) {
        self.seen.send_modify(|seen| seen.stuck[way as usize] = 0);
        self.rules
            .send_modify(|rules| rules.held[way as usize] = true);
    }

    /// Both ways are held: a black hole.
    pub fn hold_all(&self) {
        self.hold(Way::ToMaster);
        self.hold(Way::FromMaster);
    }

    /// Everything is delivered again, first what was held.
    pub fn heal(&self) {
        self.rules.send_modify(|rules| {
            rules.held = [false; 2];
            rules.cut_after = None;
        });
    }

    /// Resets all connections; what was held of them is lost. New ones may come.
    pub fn cut(&self) {
        self.rules.send_modify(|rules| rules.life += 1);
    }

    /// Resets all connections, and lets new ones through: what was held is lost.
    pub fn cut_and_heal(&self) {
        self.rules.send_modify(|rules| {
            rules.life += 1;
            rules.held = [false; 2];
        });
    }

    /// Resets all connections, and holds everything, as soon as one connection has carried so much this way, to the byte.
    pub fn cut_after(&self, way: Way, bytes: u64) {
        self.rules
            .send_modify(|rules| rules.cut_after = Some((way, bytes)));
    }

    /// Waits until that has happened, which is what it returns, or until all connections of the talk have ended before so
    /// much was said. `talk` begins it, once nobody else talks over this network.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub fn cut_in<T>(&self, way: Way, bytes: u64, talk: impl FnOnce() -> T) -> (bool, T) {
        self.wait_until("others talk", |seen| seen.open == 0);
        let before = *self.seen.borrow();
        self.cut_after(way, bytes);
        let talk = talk();
        self.wait_until("it neither ends nor says so much", |seen| {
            let ended = seen.connections > before.connections && seen.open == 0;
            seen.cuts > before.cuts || ended
        });
        (self.seen.borrow().cuts > before.cuts, talk)
    }

    /// Every piece of at most 16 KiB comes so much later.
    pub fn delay(&self, time: Duration) {
        self.rules.send_modify(|rules| rules.delay = time);
    }

    /// Each connection carries at most so much each way.
    pub fn limit(&self, bytes_per_second: u32) {
        self.rules
            .send_modify(|rules| rules.bytes_per_second = Some(bytes_per_second));
    }

    /// A connection on which nothing is said for so long is forgotten: whatever comes later gets no answer.
    pub fn forget_idle_after(&self, time: Duration) {
        self.rules.send_modify(|rules| rules.idle = Some(time));
    }

    /// How many bytes were delivered this way.
    pub fn delivered(&self, way: Way) -> u64 {
        self.seen.borrow().delivered[way as usize]
    }

    /// How many connections were forgotten.
    pub fn forgotten(&self) -> u64 {
        self.seen.borrow().idle
    }

    /// How many connections there were, those that are over included.
    pub fn connections(&self) -> u64 {
        self.seen.borrow().connections
    }

    /// Waits until something is held this way: somebody has said something that the other side does not hear.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub fn wait_for_held(&self, way: Way) {
        self.wait_until("nobody says anything", |seen| seen.stuck[way as usize] > 0);
    }

    /// Waits until there were so many connections in all.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub fn wait_for_connections(&self, number: u64) {
        self.wait_until("nobody connects", |seen| seen.connections >= number);
    }

    /// Waits until so many connections were forgotten.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub fn wait_for_forgotten(&self, number: u64) {
        self.wait_until("no connection is quiet", |seen| seen.idle >= number);
    }

    /// Waits until so many bytes more were delivered this way.
    ///
    /// # Panics
    ///
    /// When the guard runs out before.
    pub fn wait_for_delivered(&self, way: Way, bytes: u64) {
        let wanted = self.seen.borrow().delivered[way as usize] + bytes;
        self.wait_until("nothing is delivered", |seen| {
            seen.delivered[way as usize] >= wanted
        });
    }

    fn wait_until(&self, otherwise: &str, is_so: impl FnMut(&Seen) -> bool) {
        let mut following = self.seen.subscribe();
        let runtime = self.runtime.as_ref().expect("it lives");
        let waited = runtime.block_on(async {
            timeout(GUARD, following.wait_for(is_so))
                .await
                .map(|found| found.is_ok())
        });
        assert!(waited == Ok(true), "{otherwise}: {:?}", self.seen.borrow());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(
    listener: TcpListener,
    master: SocketAddr,
    (ruler, rules): (watch::Sender<Rules>, watch::Receiver<Rules>),
    seen: watch::Sender<Seen>,
    narrow: Option<NarrowLink>,
) {
    while let Ok((client, _)) = listener.accept().await {
        seen.send_modify(|seen| {
            seen.connections += 1;
            seen.open += 1;
        });
        let line = Line {
            ruler: ruler.clone(),
            rules: rules.clone(),
            seen: seen.clone(),
            narrow: narrow.clone(),
            life: rules.borrow().life,
            spoken: watch::Sender::new(Instant::now()),
            forgotten: watch::Sender::new(false),
        };
        let seen = seen.clone();
        tokio::spawn(async move {
            carry(client, master, line).await;
            seen.send_modify(|seen| seen.open -= 1);
        });
    }
}

/// What the parts of one connection share.
#[derive(Clone)]
struct Line {
    ruler: watch::Sender<Rules>,
    rules: watch::Receiver<Rules>,
    seen: watch::Sender<Seen>,
    narrow: Option<NarrowLink>,
    life: u64,
    /// When something was said last.
    spoken: watch::Sender<Instant>,
    forgotten: watch::Sender<bool>,
}

/// One connection, until both sides have ended it, or the network resets it.
async fn carry(client: TcpStream, master: SocketAddr, line: Line) {
    let mut cut = line.rules.clone();
    let life = line.life;
    let idle = tokio::spawn(forget_when_idle(line.clone()));
    let mut open = line.clone();
    let both = async {
        // Whoever cannot be heard reaches nobody.
        open.wait_until_open(Way::ToMaster).await;
        let Ok(server) = TcpStream::connect(master).await else {
            return None;
        };
        Some(server)
    };
    let server = tokio::select! {
        server = both => server,
        _ = cut.wait_for(|rules| rules.life != life) => None,
    };
    let Some(server) = server else {
        reset(&client);
        idle.abort();
        return;
    };
    let client = Arc::new(client.into_std().expect("a socket"));
    let server = Arc::new(server.into_std().expect("a socket"));
    if let (Ok(near), Ok(far)) = (again(&client), again(&server)) {
        let (from_client, to_client) = near.into_split();
        let (from_server, to_server) = far.into_split();
        let up = pump(from_client, to_server, Way::ToMaster, line.clone());
        let down = pump(from_server, to_client, Way::FromMaster, line);
        tokio::select! {
            ((), ()) = async { tokio::join!(up, down) } => {}
            _ = cut.wait_for(|rules| rules.life != life) => {
                for socket in [&client, &server] {
                    // Ends with a reset, once the last descriptor is closed.
                    let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
                }
            }
        }
    }
    idle.abort();
}

/// The same socket once more, so that it can be reset while its halves are in use.
fn again(socket: &std::net::TcpStream) -> io::Result<TcpStream> {
    let socket = socket.try_clone()?;
    socket.set_nodelay(true)?;
    TcpStream::from_std(socket)
}

fn reset(socket: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// Carries one direction until its end.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, way: Way, mut line: Line) {
    if let Some(narrow) = &line.narrow {
        let delivered = |length| {
            line.seen
                .send_modify(|seen| seen.delivered[way as usize] += length);
        };
        return narrow.carry(from, to, delivered).await;
    }
    let mut piece = vec![0; PIECE];
    let mut carried = 0;
    loop {
        let Ok(length) = from.read(&mut piece).await else {
            return;
        };
        line.spoken.send_replace(Instant::now());
        if length > 0 && line.rules.borrow().held[way as usize] {
            line.seen
                .send_modify(|seen| seen.stuck[way as usize] += length as u64);
        }
        let Rules {
            delay,
            bytes_per_second,
            ..
        } = *line.rules.borrow();
        if !delay.is_zero() {
            sleep(delay).await;
        }
        line.wait_until_open(way).await;
        let last = line.last_bytes(way, carried, length);
        if length == 0 {
            let _ = to.shutdown().await;
            return;
        }
        let end = last.unwrap_or(length);
        if to.write_all(&piece[..end]).await.is_err() {
            return;
        }
        carried += end as u64;
        if last.is_some() {
            line.cut();
            std::future::pending::<()>().await;
        }
        line.seen
            .send_modify(|seen| seen.delivered[way as usize] += length as u64);
        if let Some(rate) = bytes_per_second {
            let share = f64::from(u32::try_from(length).unwrap_or(u32::MAX)) / f64::from(rate);
            sleep(Duration::from_secs_f64(share)).await;
        }
    }
}

/// Forgets the connection when nothing was said on it for too long.
async fn forget_when_idle(mut line: Line) {
    let mut spoken = line.spoken.subscribe();
    loop {
        let idle = line.rules.borrow().idle;
        let last = *spoken.borrow();
        let Some(idle) = idle else {
            if line.rules.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            () = sleep_until(last + idle) => {
                line.forgotten.send_replace(true);
                line.seen.send_modify(|seen| seen.idle += 1);
                return;
            }
            changed = spoken.changed() => if changed.is_err() { return; },
        }
    }
}

impl Line {
    /// How many of these bytes are the last ones of the connection, if they are.
    fn last_bytes(&self, way: Way, carried: u64, length: usize) -> Option<usize> {
        let (cut_way, after) = self.rules.borrow().cut_after?;
        if cut_way != way || carried + length as u64 <= after {
            return None;
        }
        usize::try_from(after.saturating_sub(carried)).ok()
    }

    /// Ends all connections; new ones are held.
    fn cut(&self) {
        self.seen.send_modify(|seen| seen.cuts += 1);
        self.ruler.send_modify(|rules| {
            rules.cut_after = None;
            rules.held = [true; 2];
            rules.life += 1;
        });
    }

    /// Returns when something may be delivered this way; never once the connection is forgotten or reset.
    async fn wait_until_open(&mut self, way: Way) {
        let life = self.life;
        let may_go_on = |rules: &Rules| !rules.held[way as usize] || rules.life != life;
        let opened = self.rules.wait_for(may_go_on).await;
        let is_here = opened.is_ok_and(|rules| rules.life == life) && !*self.forgotten.borrow();
        if !is_here {
            std::future::pending::<()>().await;
        }
    }
}
