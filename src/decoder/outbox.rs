//! `outbox`: the data in rows routed by Debezium's outbox event router
//! (<https://debezium.io/documentation/reference/stable/transformations/outbox-event-router.html>).

use std::borrow::Cow;

use super::verb::Types;
use super::{DataPlace, Envelope, Poison, header};
use crate::event::Record;

pub(super) fn read<'a>(
    record: &'a Record,
    value: Option<&'a [u8]>,
    types: &Types,
) -> Result<Option<Envelope<'a>>, Poison> {
    let full_type = match header(record, "eventType")? {
        Some(full_type) => full_type,
        None => header(record, "type")?
            .ok_or_else(|| "eventType: no such header, an event type was expected".to_owned())?,
    };
    let Some(action) = types.action(full_type)? else { return Ok(None) };
    let data = value.map(Cow::Borrowed);
    Ok(Some(Envelope { subject: None, version: None, action, data, place: DataPlace::DATA }))
}
