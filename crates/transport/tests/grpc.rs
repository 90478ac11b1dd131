//! gRPC over mutual TLS keeps the contract of transports.

#![expect(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "the test files share a master; each uses a part of it, and a failure there is one of the test"
)]

mod support;

mod grpc {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use jobyard_core::{SessionHandler, Transport, WorkerId};
    use jobyard_testkit::transport::TransportFactory;
    use jobyard_transport::{ConnectOptions, GrpcTransport};

    use crate::support::Master;
    use crate::support::authority::Authority;

    /// Keeps its masters alive.
    #[derive(Default)]
    struct Factory {
        masters: Mutex<Vec<Master>>,
    }

    #[async_trait]
    impl TransportFactory for Factory {
        async fn transport(
            &self,
            worker: WorkerId,
            handler: Arc<dyn SessionHandler>,
        ) -> Arc<dyn Transport> {
            let master = Master::start(Arc::new(Authority::new()), handler).await;
            let tls = master.authority.worker(worker);
            let options = ConnectOptions::default();
            let transport = GrpcTransport::new(master.endpoints(), &tls, options).unwrap();
            self.masters.lock().unwrap().push(master);
            Arc::new(transport)
        }
    }

    jobyard_testkit::transport_suite!(#[tokio::test], Factory::default());

    mod on_several_threads {
        use super::Factory;

        jobyard_testkit::transport_suite!(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)],
            Factory::default()
        );
    }
}
