//! How far a sweep is in this process: which parts are made, and up to where all of them have arrived.

use std::collections::BTreeMap;

use super::Sweeping;
use crate::projection::Projection;

/// One sweep on its way.
#[derive(Debug)]
pub(in crate::pipeline) struct Course {
    projection: Projection,
    step: u64,
    /// Where the next part begins; `None` when all are made.
    next: Option<String>,
    /// The parts that were made and are not told of yet, by their numbers.
    parts: BTreeMap<u64, Made>,
    made: u64,
}

#[derive(Debug)]
struct Made {
    /// Where the part after it begins.
    next: Option<String>,
    documents: u64,
    has_arrived: bool,
}

/// The next part to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline) struct Next {
    /// Of what.
    pub(in crate::pipeline) projection: Projection,
    /// Of which sweep.
    pub(in crate::pipeline) step: u64,
    /// From where on.
    pub(in crate::pipeline) place: String,
}

/// What has arrived without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pipeline) struct Arrived {
    /// Up to here; everything when there is none.
    pub(in crate::pipeline) place: Option<String>,
    /// How many documents since the last time.
    pub(in crate::pipeline) documents: u64,
}

/// The sweeps on their way.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Courses(Vec<Course>);

impl Courses {
    /// The next part of the sweeps that are called for; those no longer called for are forgotten.
    pub(in crate::pipeline) fn next(&mut self, wanted: &[Sweeping]) -> Option<Next> {
        let is_wanted = |course: &Course| {
            wanted.iter().any(|sweep| sweep.projection == course.projection && sweep.step == course.step)
        };
        self.0.retain(is_wanted);
        for sweep in wanted {
            let Some(place) = &sweep.place else { continue };
            if !self.0.iter().any(|course| course.projection == sweep.projection) {
                self.0.push(Course {
                    projection: sweep.projection,
                    step: sweep.step,
                    next: Some(place.clone()),
                    parts: BTreeMap::new(),
                    made: 0,
                });
            }
        }
        let course = self.0.iter().find(|course| course.next.is_some())?;
        Some(Next { projection: course.projection, step: course.step, place: course.next.clone()? })
    }

    /// Takes note of a part that was made; answers its number.
    pub(in crate::pipeline) fn made(&mut self, part: &Next, next: Option<String>, documents: u64) -> u64 {
        let Some(course) = self.of(part) else { return 0 };
        course.made += 1;
        course.next.clone_from(&next);
        let made = Made { next, documents, has_arrived: false };
        course.parts.insert(course.made, made);
        course.made
    }

    /// Takes note that a part's documents are delivered or marked; answers what can be told since.
    pub(in crate::pipeline) fn arrived(&mut self, part: &Next, number: u64) -> Option<Arrived> {
        let course = self.of(part)?;
        course.parts.get_mut(&number)?.has_arrived = true;
        let mut arrived: Option<Arrived> = None;
        while let Some(first) = course.parts.first_entry().filter(|first| first.get().has_arrived) {
            let Made { next, documents, .. } = first.remove();
            let before = arrived.map_or(0, |arrived| arrived.documents);
            arrived = Some(Arrived { place: next, documents: before + documents });
        }
        arrived
    }

    /// True when nothing is left to be made, and all that was made has arrived.
    pub(in crate::pipeline) fn are_through(&self) -> bool {
        self.0.iter().all(|course| course.next.is_none() && course.parts.is_empty())
    }

    fn of(&mut self, part: &Next) -> Option<&mut Course> {
        self.0.iter_mut().find(|course| course.projection == part.projection && course.step == part.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ORGANISATIONS;

    fn sweep(step: u64, place: Option<&str>) -> Sweeping {
        let place = place.map(str::to_owned);
        Sweeping { projection: ORGANISATIONS, step, place, left: 1 }
    }

    #[test]
    fn only_what_arrived_without_a_gap_is_told() {
        let (mut courses, wanted) = (Courses::default(), [sweep(3, Some(""))]);
        let first = courses.next(&wanted).unwrap();
        let one = courses.made(&first, Some("b".to_owned()), 10);
        let second = courses.next(&wanted).unwrap();
        assert_eq!(second.place, "b");
        let two = courses.made(&second, Some("c".to_owned()), 20);
        let third = courses.next(&wanted).unwrap();
        let three = courses.made(&third, None, 5);
        assert_eq!(courses.next(&wanted), None);
        assert!(!courses.are_through());
        assert_eq!(courses.arrived(&second, two), None);
        assert_eq!(
            courses.arrived(&first, one),
            Some(Arrived { place: Some("c".to_owned()), documents: 30 })
        );
        assert_eq!(courses.arrived(&second, three), Some(Arrived { place: None, documents: 5 }));
        assert!(courses.are_through());
    }

    #[test]
    fn a_sweep_that_sleeps_waits_and_one_that_was_begun_anew_begins_anew() {
        let mut courses = Courses::default();
        assert_eq!(courses.next(&[sweep(3, None)]), None);
        let part = courses.next(&[sweep(3, Some("b"))]).unwrap();
        let number = courses.made(&part, Some("c".to_owned()), 1);
        let anew = courses.next(&[sweep(9, Some(""))]).unwrap();
        assert_eq!(anew.place, "");
        assert_eq!(courses.arrived(&part, number), None);
    }
}
