//! The in-process transport keeps the contract of transports.

mod in_process {
    use std::sync::Arc;

    use async_trait::async_trait;
    use jobyard_core::{SessionHandler, Transport, WorkerId};
    use jobyard_testkit::transport::TransportFactory;
    use jobyard_transport::InProcess;

    struct Factory;

    #[async_trait]
    impl TransportFactory for Factory {
        async fn transport(
            &self,
            worker: WorkerId,
            handler: Arc<dyn SessionHandler>,
        ) -> Arc<dyn Transport> {
            Arc::new(InProcess::new(worker, handler))
        }
    }

    jobyard_testkit::transport_suite!(#[tokio::test], Factory);
}
