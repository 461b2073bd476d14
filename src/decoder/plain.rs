//! `plain`: the value is the entity's full state.

use super::{DataPlace, Envelope};
use crate::event::Action;

pub(super) fn read(value: &[u8]) -> Envelope<'_> {
    Envelope {
        subject: None,
        version: None,
        action: Action::Replace,
        data: Some(value.into()),
        place: DataPlace::VALUE,
    }
}
