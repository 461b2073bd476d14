//! Paths into documents, such as `address.country` and `prices.amount`, and the members that they lead to.

use super::types::{DeclaredType, Embed, Entity, PathKind, PathTarget, Projection, Relation};

/// Follows paths in the documents of a projection.
pub(super) struct Paths<'a> {
    pub(super) entities: &'a [Entity],
    pub(super) projection: &'a Projection,
}

impl<'a> Paths<'a> {
    /// The member that a path leads to; `None` when no document has such a member, or it is an object as a whole.
    pub(super) fn target(&self, path: &str) -> Option<PathTarget> {
        let parts: Vec<&str> = path.split('.').collect();
        let (first, rest) = parts.split_first()?;
        let own = |kind| Some(PathTarget { embeds: Vec::new(), from_depth: 0, kind });
        match (*first, rest) {
            ("id", []) => return own(PathKind::Id),
            ("stub", []) => return own(PathKind::Flag),
            (name, []) if self.projection.compute.iter().any(|compute| compute.name == name) => {
                return own(PathKind::Computed);
            }
            (name, [_, ..]) if self.projection.rest.as_deref() == Some(name) => return own(PathKind::Inside),
            _ => {}
        }
        let mut target = PathTarget { embeds: Vec::new(), from_depth: 0, kind: PathKind::Id };
        target.kind = self.inside(
            &mut target,
            &self.projection.of,
            &self.projection.show,
            &self.projection.embeds,
            &parts,
        )?;
        Some(target)
    }

    fn inside(
        &self,
        target: &mut PathTarget,
        entity: &str,
        show: &[String],
        embeds: &'a [Embed],
        parts: &[&str],
    ) -> Option<PathKind> {
        let (first, rest) = parts.split_first()?;
        if *first == "id" && rest.is_empty() {
            return Some(PathKind::Id);
        }
        if show.iter().any(|field| field == first) {
            let entity = self.entities.iter().find(|known| known.name == entity)?;
            let kind = &entity.field(first)?.kind;
            return match (kind, rest) {
                (_, []) => Some(PathKind::Field(kind.clone())),
                (DeclaredType::Address | DeclaredType::Object, [_, ..]) => Some(PathKind::Inside),
                _ => None,
            };
        }
        if let Some(kind) =
            embeds.iter().find_map(|embed| find_member(embed, first)).filter(|_| rest.is_empty())
        {
            return Some(kind);
        }
        let embed = embeds.iter().find(|embed| embed.name == *first)?;
        target.embeds.push(embed.name.clone());
        if matches!(embed.relation, Relation::From(_)) {
            target.from_depth = target.embeds.len();
        }
        if rest.is_empty() {
            // A list of ids is no object.
            return matches!(embed.relation, Relation::Above { ids: true, .. }).then_some(PathKind::Id);
        }
        self.inside(target, &embed.entity, &embed.show, &embed.embeds, rest)
    }
}

/// The members that an embed has beside its own.
fn find_member(embed: &Embed, name: &str) -> Option<PathKind> {
    let is = |member: &Option<String>| member.as_deref() == Some(name);
    match &embed.relation {
        Relation::Above { cycle, .. } => is(cycle).then_some(PathKind::Flag),
        Relation::From(from) if is(&from.count) || is(&from.descendants) => Some(PathKind::Count),
        Relation::From(from) => is(&from.truncated).then_some(PathKind::Flag),
        Relation::Reference { .. } => None,
    }
}

/// The embed that a path of names leads to.
pub fn embed<'a>(embeds: &'a [Embed], path: &str) -> Option<&'a Embed> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let found = embeds.iter().find(|embed| embed.name == first)?;
    rest.map_or(Some(found), |rest| embed(&found.embeds, rest))
}

/// The paths of all embeds.
pub(super) fn embed_paths(embeds: &[Embed], before: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for embed in embeds {
        let path = if before.is_empty() { embed.name.clone() } else { format!("{before}.{}", embed.name) };
        paths.push(path.clone());
        paths.extend(embed_paths(&embed.embeds, &path));
    }
    paths
}

impl Projection {
    /// The names of a document's members at its top, in its order, `id` and `stub` left out.
    pub fn members(&self) -> Vec<&str> {
        let mut members: Vec<&str> = self.show.iter().map(String::as_str).collect();
        members.extend(self.rest.as_deref());
        self.embeds.iter().for_each(|embed| members.extend(embed.members()));
        members.extend(self.compute.iter().map(|compute| compute.name.as_str()));
        members
    }
}

impl Embed {
    /// The names that it takes in the object that it stands in: its own, and those of its count and marks.
    pub fn members(&self) -> Vec<&str> {
        let beside = match &self.relation {
            Relation::Reference { .. } => [None, None, None],
            Relation::Above { cycle, .. } => [cycle.as_deref(), None, None],
            Relation::From(from) => {
                [from.count.as_deref(), from.truncated.as_deref(), from.descendants.as_deref()]
            }
        };
        std::iter::once(self.name.as_str()).chain(beside.into_iter().flatten()).collect()
    }
}
