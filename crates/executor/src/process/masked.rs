//! One stream of output that this program reads itself, without the secrets of its job.

use bytes::{Bytes, BytesMut};
use jobyard_core::{Output, OutputStream};
use jobyard_launcher::spool::{Masks, StreamMasker};

/// Hands over what one stream brings.
pub(super) struct MaskedStream {
    name: OutputStream,
    output: Output,
    /// `None`: there is nothing to mask.
    masker: Option<StreamMasker>,
}

impl MaskedStream {
    pub(super) fn new(name: OutputStream, output: &Output, masks: &Masks) -> Self {
        Self {
            name,
            output: output.clone(),
            masker: (!masks.is_empty()).then(|| StreamMasker::new(masks)),
        }
    }

    /// Hands over all that is certain.
    pub(super) async fn write(&mut self, bytes: Bytes) {
        let bytes = match &mut self.masker {
            None => bytes,
            Some(masker) => {
                let mut shown = BytesMut::new();
                masker.push(&bytes, &mut shown);
                shown.freeze()
            }
        };
        self.hand_over(bytes).await;
    }

    /// Nothing follows: hands over what was held back.
    pub(super) async fn finish(mut self) {
        if let Some(mut masker) = self.masker.take() {
            let mut rest = BytesMut::new();
            masker.finish(&mut rest);
            self.hand_over(rest.freeze()).await;
        }
    }

    async fn hand_over(&self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.output.write(self.name, bytes).await;
        }
    }
}
