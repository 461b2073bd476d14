//! The embeds of documents.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::own_entity::OwnEntity;
use super::{ChildMembers, MemberCount, Renderer};
use crate::entity::{Header, Liveness, References};
use crate::error::{Error, Result};
use crate::json::{Name, Object, push_list, push_text};
use crate::plan::{EmbedPlan, EntityType, FromPlan, Maximum, Relation, RelationPlanOf};
use crate::projection::ancestry::Referent;
use crate::projection::descendants::Descendants;
use crate::projection::row::open;
use crate::projection::search::{each_text, push_marked, push_numbers};
use crate::searchable_fields::REFERENCE_MARK;

impl Renderer<'_> {
    /// Writes an embed of the entity `id`. Words of entities that it refers to are appended to `words`.
    pub(super) fn embed(
        &self,
        object: &mut Object<'_>,
        embed: &EmbedPlan,
        own: &OwnEntity<'_>,
        id: &str,
        words: &mut Vec<u8>,
    ) -> Result<Option<MemberCount>> {
        match &embed.by {
            RelationPlanOf::Reference { at, is_list: false } => {
                if let Some(referred) = own.reference(*at) {
                    self.reference(object, embed, &referred, words)?;
                }
                Ok(None)
            }
            RelationPlanOf::Reference { at, is_list: true } => {
                if let References::Many(referred) = own.references(*at) {
                    self.references(object, embed, &referred, words)?;
                }
                Ok(None)
            }
            RelationPlanOf::Above { at, above, is_ids, cycle } => {
                let tree = (self.type_of(embed)?, *above);
                let chain = self.ancestry(tree, id, own.references(*at).first())?;
                chain.ancestors.iter().for_each(|ancestor| push_words(words, embed, &ancestor.header));
                let out = object.value(Name::plain(embed.name));
                if *is_ids {
                    push_list(out, &chain.ancestors, |out, ancestor| push_text(out, &ancestor.id));
                } else {
                    self.list(out, embed, &chain.ancestors)?;
                }
                if let Some(cycle) = cycle.filter(|_| chain.cycle) {
                    object.yes(cycle);
                }
                Ok(None)
            }
            RelationPlanOf::From(from) => {
                self.members(object, (embed, from), id, ChildMembers::Within).map(Some)
            }
        }
    }

    fn type_of(&self, embed: &EmbedPlan) -> Result<EntityType> {
        self.plan.entity_type_of_number(embed.to).ok_or_else(|| damage_error(embed.name))
    }

    fn reference(
        &self,
        object: &mut Object<'_>,
        embed: &EmbedPlan,
        id: &str,
        words: &mut Vec<u8>,
    ) -> Result<()> {
        // A fragment that is being made notes all that it is made of, which another fragment does not tell.
        if let Some(kind) = embed.fragment.filter(|_| self.read.borrow().is_none()) {
            let fragment = self.fragment(kind, id)?;
            object.raw_if(Name::plain(embed.name), fragment.object());
            append(words, fragment.words());
            return Ok(());
        }
        let header = self.header(self.type_of(embed)?, id)?;
        if header.liveness != Liveness::Deleted {
            self.write_referred(object.value(Name::plain(embed.name)), embed, id, &header)?;
            push_words(words, embed, &header);
        }
        Ok(())
    }

    fn references(
        &self,
        object: &mut Object<'_>,
        embed: &EmbedPlan,
        ids: &[Arc<str>],
        words: &mut Vec<u8>,
    ) -> Result<()> {
        let of = self.type_of(embed)?;
        let mut alive = Vec::with_capacity(ids.len());
        for id in ids {
            let header = self.header(of, id)?;
            if header.liveness != Liveness::Deleted {
                push_words(words, embed, &header);
                alive.push(Referent { id: Arc::clone(id), header });
            }
        }
        self.list(object.value(Name::plain(embed.name)), embed, &alive)
    }

    /// Writes the objects of entities that references name.
    fn list(&self, out: &mut Vec<u8>, embed: &EmbedPlan, entities: &[Referent]) -> Result<()> {
        out.push(b'[');
        for (number, entity) in entities.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            self.write_referred(out, embed, &entity.id, &entity.header)?;
        }
        out.push(b']');
        Ok(())
    }

    /// Writes the object of an entity that a reference names.
    pub(super) fn write_referred(
        &self,
        out: &mut Vec<u8>,
        embed: &EmbedPlan,
        id: &str,
        header: &Header,
    ) -> Result<()> {
        let mut object = Object::open(out);
        object.text(Name::plain("id"), id);
        for shown in &embed.show {
            object.raw_if(Name::plain(shown.name), header.field(shown.slot));
        }
        for inner in &embed.embeds {
            self.embed(&mut object, inner, &OwnEntity::Header(header), id, &mut Vec::new())?;
        }
        object.close();
        Ok(())
    }

    /// Writes the first members of an owner that it shows, and how many there are.
    pub(super) fn members(
        &self,
        object: &mut Object<'_>,
        (embed, from): (&EmbedPlan, &FromPlan),
        id: &str,
        place: ChildMembers,
    ) -> Result<MemberCount> {
        let relation = self.plan.relation_of_number(from.relation).ok_or_else(|| damage_error(embed.name))?;
        let max = match from.max {
            Maximum::Of(max) => max,
            Maximum::Configured => u64::try_from(self.limits.max_embedded_contacts).unwrap_or(u64::MAX),
        };
        let mut descendants = from.descendants.map(|_| Descendants::default());
        let (mut count, mut failed) = (0, None);
        // Of members beside it an owner shows how many there are.
        let mut out = (place == ChildMembers::Within).then(|| object.value(Name::plain(embed.name)));
        out.iter_mut().for_each(|out| out.push(b'['));
        self.entities.members(relation, id, &mut |member, row| {
            if let Some(out) = out.as_deref_mut().filter(|_| count < max) {
                if count > 0 {
                    out.push(b',');
                }
                if let Err(error) = self.member(out, embed, relation, member, row) {
                    failed = Some(error);
                    return ControlFlow::Break(());
                }
            }
            if let Some(descendants) = &mut descendants {
                descendants.meet(member);
            }
            count += 1;
            ControlFlow::Continue(())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        out.into_iter().for_each(|out| out.push(b']'));
        if let Some(name) = from.count {
            object.number(Name::plain(name), count);
        }
        if let Some(name) = from.truncated.filter(|_| count > max) {
            object.yes(name);
        }
        if let Some((name, descendants)) = from.descendants.zip(descendants) {
            object.number(Name::plain(name), descendants.count(self.entities, relation, id)?);
        }
        Ok((from.relation, count))
    }

    pub(super) fn member(
        &self,
        out: &mut Vec<u8>,
        embed: &EmbedPlan,
        relation: Relation,
        member: &str,
        row: &[u8],
    ) -> Result<()> {
        if embed.embeds.is_empty() {
            out.extend_from_slice(row);
            return Ok(());
        }
        let (members, references) = open(row).ok_or_else(|| damage_error(&relation.name))?;
        let mut object = Object::open(out);
        object.members(members);
        for inner in &embed.embeds {
            self.embed(&mut object, inner, &OwnEntity::Row(&references), member, &mut Vec::new())?;
        }
        object.close();
        Ok(())
    }
}

/// Appends the words under which a document is found by an entity that it refers to.
pub(super) fn push_words(out: &mut Vec<u8>, embed: &EmbedPlan, header: &Header) {
    let Some(words) = embed.words else { return };
    for shown in embed.show.iter().filter(|shown| words.has(shown.name)) {
        each_text(header.field(shown.slot), |text| {
            push_marked(out, REFERENCE_MARK, &crate::text::words(text));
        });
    }
    for shown in embed.show.iter().filter(|shown| words.is_phone(shown.name)) {
        each_text(header.field(shown.slot), |phone| push_numbers(out, 0, phone));
    }
}

fn append(words: &mut Vec<u8>, more: &[u8]) {
    if !more.is_empty() {
        if !words.is_empty() {
            words.extend_from_slice(b" | ");
        }
        words.extend_from_slice(more);
    }
}

fn damage_error(what: &str) -> Error {
    Error::failure(format!(
        "a row of {what} in the state is damaged; delete the state's folder and start again to replay"
    ))
}
