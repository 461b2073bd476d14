//! Children: the documents of members beside that of their owner.

use super::{Entities, Projection};
use crate::entity::{EntityFields, Liveness, References, holds};
use crate::error::Result;
use crate::plan::{Child, EntityType, child_key};

/// The entity that a document of this key is of.
pub fn own_entity(projection: Projection, key: &str) -> (EntityType, &str) {
    match projection.child(key) {
        Some(child) => (child.relation.member(), child.member),
        None => (projection.entity_type(), key),
    }
}

/// Whether the owner of a child has a document itself.
///
/// # Errors
/// Those of the state.
pub fn has_owner(entities: &dyn Entities, projection: Projection, child: &Child<'_>) -> Result<bool> {
    let (plan, of) = (projection.get(), projection.entity_type());
    let mut has = false;
    entities.entity(of, &child.owner, &mut |owner| {
        has = match owner.liveness() {
            Liveness::Deleted => false,
            Liveness::Unseen => projection.makes_stubs(child.relation),
            Liveness::Alive => holds(of.get(), &plan.conditions, owner),
        };
        Ok(())
    })?;
    Ok(has)
}

/// The key of a member's document as it refers to its owner now; `None` where it refers to none.
///
/// # Errors
/// Those of the state.
pub fn key_now(entities: &dyn Entities, child: &Child<'_>) -> Result<Option<String>> {
    let mut owner = References::Absent;
    let of = child.relation.member();
    entities.entity(of, child.member, &mut |member| {
        if member.liveness() == Liveness::Alive {
            owner = References::of(member, of.field_at(child.relation.field).name);
        }
        Ok(())
    })?;
    Ok(owner.first().map(|owner| child_key(child.embed.name, owner, child.member)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Registers;
    use crate::event::{Action, Event, EventField};
    use crate::model::{self, Layout};
    use crate::plan::{PlanRef, display_key};
    use crate::projection::effects::Effects;

    fn contact(plan: PlanRef, owner: &str, name: &str) -> Registers {
        let mut registers = Registers::default();
        let field = |name: &str, value: &str| EventField {
            name: name.to_owned(),
            json: format!("{value:?}").into_bytes().into(),
        };
        let fields = vec![field("name", name), field("organisationId", owner)];
        let (kind, id) = (plan.entity_type("contacts").unwrap(), "c1".to_owned());
        registers.apply(&Event { kind, id, version: 1, sequenced: true, action: Action::Replace, fields });
        registers
    }

    /// The documents that a change marks, those of the projection `contacts` aside.
    fn find_marks(plan: PlanRef, before: &Registers, after: &Registers) -> Vec<String> {
        let mut effects = Effects::default();
        let nothing = |_: EntityType, _: &str, _: u16| Ok(References::Absent);
        let of = plan.entity_type("contacts").unwrap();
        effects.of(of, "c1", (before, after), &nothing, &nothing).unwrap();
        let marks = effects.marks.into_iter().filter(|(projection, _)| projection.name() == "organisations");
        marks.map(|(_, key)| display_key(&key)).collect()
    }

    #[test]
    fn a_member_marks_its_owner_only_when_it_comes_or_goes() {
        let mut model = model::default_model().clone();
        model.lay_out("organisations", Layout::Join).unwrap();
        let plan = PlanRef::of(&model);
        let [one, other, moved] =
            [("o1", "Jane"), ("o1", "Joan"), ("o2", "Joan")].map(|(owner, name)| contact(plan, owner, name));
        assert_eq!(find_marks(plan, &one, &other), ["contacts/c1 of o1"]);
        assert_eq!(find_marks(plan, &other, &moved), ["o1", "o2", "contacts/c1 of o1", "contacts/c1 of o2"]);
        assert_eq!(find_marks(plan, &Registers::default(), &one), ["o1", "contacts/c1 of o1"]);
    }

    /// Shelves whose books are children.
    fn shelves(rest: &str) -> PlanRef {
        let text = format!(
            "[entities.shelves.fields]\nname = \"string\"\n[entities.books.fields]\nname = \"string\"\n\
             organisationId = {{ references = \"shelves\" }}\n\
             [projections.shelves]\nof = \"shelves\"\nlayout = \"join\"\n{rest}\n"
        );
        PlanRef::of(&model::parse("t.toml", &text).unwrap())
    }

    #[test]
    fn an_owner_without_counts_stubs_and_programs_is_never_marked_by_a_member() {
        let embed = "[[projections.shelves.embed]]\nas = \"books\"\nfrom = \"books.organisationId\"\n\
                     show = [\"name\"]\n";
        let owners = |rest: &str| {
            let plan = shelves(rest);
            let of = plan.entity_type("books").unwrap();
            let book = |owner: &str, name: &str| {
                let mut registers = Registers::default();
                let fields = [("name", name), ("organisationId", owner)].map(|(name, value)| EventField {
                    name: name.to_owned(),
                    json: format!("{value:?}").into_bytes().into(),
                });
                let (id, fields) = ("b1".to_owned(), fields.into());
                let action = Action::Replace;
                registers.apply(&Event { kind: of, id, version: 1, sequenced: true, action, fields });
                registers
            };
            let nothing = |_: EntityType, _: &str, _: u16| Ok(References::Absent);
            let marks = |before: &Registers, after: &Registers| -> Vec<String> {
                let mut effects = Effects::default();
                effects.of(of, "b1", (before, after), &nothing, &nothing).unwrap();
                let keys = effects.marks.iter().map(|(_, key)| key.as_str());
                keys.filter(|key| crate::plan::ChildKey::of(key).is_none()).map(str::to_owned).collect()
            };
            let [one, other, moved] = [("s1", "A"), ("s1", "B"), ("s2", "B")].map(|(s, name)| book(s, name));
            [marks(&Registers::default(), &one), marks(&one, &other), marks(&other, &moved)]
        };
        let none: [Vec<String>; 3] = Default::default();
        assert_eq!(owners(embed), none);
        let [came, renamed, went] = [&["s1"][..], &[], &["s1", "s2"]];
        assert_eq!(owners(&format!("{embed}count = \"bookCount\"\n")), [came, renamed, went]);
        assert_eq!(owners(&format!("stubs = [\"books\"]\n{embed}")), [came, renamed, went]);
        let compute = format!("{embed}[projections.shelves.compute]\nfirst = '.books[0].name'\n");
        assert_eq!(owners(&compute), [came, &["s1"], went]);
    }

    #[test]
    fn no_route_makes_a_mark_twice() {
        let plan = PlanRef::of(
            &model::parse(
                "t.toml",
                "[entities.places.fields]\nname = \"string\"\nin = { references = \"places\" }\n\
                 [projections.places]\nof = \"places\"\nlayout = \"join\"\n\
                 [[projections.places.embed]]\nas = \"parts\"\nfrom = \"places.in\"\nshow = [\"name\"]\n\
                 descendants = \"all\"\n[projections.places.compute]\nfirst = '.parts[0].name'\n",
            )
            .unwrap(),
        );
        let routes: Vec<_> = (0..).map_while(|number| plan.route(number)).collect();
        assert!(routes.iter().any(|route| matches!(route.hop, crate::plan::Hop::Above { .. })));
        for route in routes {
            for (number, mark) in route.marks.iter().enumerate() {
                assert!(!route.marks[..number].contains(mark), "{mark:?} of {route:?}");
            }
        }
    }
}
