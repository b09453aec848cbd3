//! Ring handling common to both devices: chains in, answers out, one notification.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vhost::vhost_user::message::VhostUserProtocolFeatures;
use vhost_user_backend::{VhostUserBackend, VringMutex, VringT};
use virtio_bindings::bindings::virtio_config::{VIRTIO_F_NOTIFY_ON_EMPTY, VIRTIO_F_VERSION_1};
use virtio_bindings::bindings::virtio_ring::{
    VIRTIO_RING_F_EVENT_IDX, VIRTIO_RING_F_INDIRECT_DESC,
};
use virtio_queue::{DescriptorChain, QueueOwnedT};
use vm_memory::{GuestAddressSpace, GuestMemoryAtomic, GuestMemoryLoadGuard, GuestMemoryMmap};
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::event::{
    EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier,
};

/// Bit of `VHOST_USER_F_PROTOCOL_FEATURES`.
const PROTOCOL_FEATURES_BIT: u32 = 30;
/// As many as QEMU gives these devices, and more than one transaction needs.
const QUEUE_SIZE: usize = 1024;

/// Guest memory as the rings see it.
pub type Memory = GuestMemoryAtomic<GuestMemoryMmap<()>>;
/// One request of the guest.
pub type Chain = DescriptorChain<GuestMemoryLoadGuard<GuestMemoryMmap<()>>>;

/// A virtio device behind the rings.
pub trait Device: Send + 'static {
    /// For logs and thread names.
    const NAME: &'static str;
    /// Number of rings QEMU sets up. Ring 0 carries the requests.
    const QUEUES: usize;

    /// Device-specific feature bits.
    fn features(&self) -> u64;

    /// Device configuration space.
    fn config(&self) -> Vec<u8>;

    /// Serves all requests that are pending on ring 0, in order. Returns, for each, how many bytes were written to it.
    fn handle(&mut self, requests: Vec<Chain>) -> Vec<(u16, u32)>;

    /// The host (QEMU) is gone, and its GPIO controller with it.
    fn host_gone(&mut self);
}

/// Shows a [`Device`] to the vhost-user library.
pub(super) struct Adapter<D> {
    device: Arc<Mutex<D>>,
    memory: Memory,
}

impl<D: Device> Adapter<D> {
    pub(super) fn new(device: Arc<Mutex<D>>, memory: Memory) -> Self {
        Self { device, memory }
    }

    pub(super) fn host_gone(&self) {
        self.device().host_gone();
    }

    fn device(&self) -> MutexGuard<'_, D> {
        self.device.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything now in the ring. Returns whether there was anything.
    fn drain(&self, vring: &VringMutex<Memory>) -> io::Result<bool> {
        let requests: Vec<Chain> = vring
            .get_mut()
            .get_queue_mut()
            .iter(self.memory.memory())
            .map_err(|error| io::Error::other(format!("{} ring: {error}", D::NAME)))?
            .collect();
        if requests.is_empty() {
            return Ok(false);
        }
        for (head, written) in self.device().handle(requests) {
            vring
                .add_used(head, written)
                .map_err(|error| io::Error::other(format!("{} ring: {error}", D::NAME)))?;
        }
        vring.signal_used_queue()?;
        Ok(true)
    }
}

impl<D: Device> VhostUserBackend for Adapter<D> {
    type Bitmap = ();
    type Vring = VringMutex<Memory>;

    fn num_queues(&self) -> usize {
        D::QUEUES
    }

    fn max_queue_size(&self) -> usize {
        QUEUE_SIZE
    }

    fn features(&self) -> u64 {
        // QEMU accepts the ring features without asking; what we do not offer, it then "accepts" all the same.
        let bits = [
            VIRTIO_F_NOTIFY_ON_EMPTY,
            VIRTIO_RING_F_INDIRECT_DESC,
            VIRTIO_RING_F_EVENT_IDX,
            PROTOCOL_FEATURES_BIT,
            VIRTIO_F_VERSION_1,
        ];
        bits.iter()
            .fold(self.device().features(), |all, bit| all | 1 << bit)
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::MQ | VhostUserProtocolFeatures::CONFIG
    }

    fn set_event_idx(&self, _enabled: bool) {
        // We signal after every drain; the library keeps the ring's side of it.
    }

    fn get_config(&self, offset: u32, size: u32) -> Vec<u8> {
        let mut config = self.device().config();
        config.resize(config.len().max(offset as usize + size as usize), 0);
        config[offset as usize..][..size as usize].to_vec()
    }

    fn update_memory(&self, _memory: Memory) -> io::Result<()> {
        // The library replaces the map inside the handle that we hold.
        Ok(())
    }

    fn exit_event(&self, _thread: usize) -> Option<(EventConsumer, EventNotifier)> {
        // Without it each QEMU that ends would leave a thread behind.
        new_event_consumer_and_notifier(EventFlag::CLOEXEC | EventFlag::NONBLOCK).ok()
    }

    fn handle_event(
        &self,
        event: u16,
        events: EventSet,
        vrings: &[Self::Vring],
        _thread: usize,
    ) -> io::Result<()> {
        let (0, EventSet::IN, Some(vring)) = (event, events, vrings.first()) else {
            // The GPIO event ring: QEMU 7.2 never negotiates interrupts, nothing is to be done.
            return Ok(());
        };
        loop {
            vring.disable_notification().map_err(io::Error::other)?;
            self.drain(vring)?;
            if !vring.enable_notification().map_err(io::Error::other)? {
                return Ok(());
            }
        }
    }
}
