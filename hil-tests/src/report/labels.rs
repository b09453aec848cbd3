//! Room for words: labels into rows where none touches another, marks into groups with one number.
//!
//! Pure and greedy from left to right. What finds no row is told to the caller, who must say it elsewhere.

/// A label that wants a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    /// Where its middle would like to be.
    pub(super) middle: f64,
    /// How wide it is.
    pub(super) width: f64,
}

/// Where a label went.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// Left edge.
    pub(super) left: f64,
    /// Row, from 0.
    pub(super) row: usize,
}

/// Free space between two labels.
const BETWEEN: f64 = 10.0;

/// Puts labels into at most `rows` rows between `left` and `right`. `None` in the result: no room.
pub(super) fn pack(wishes: &[Wish], left: f64, right: f64, rows: usize) -> Vec<Option<Place>> {
    let mut order: Vec<usize> = (0..wishes.len()).collect();
    order.sort_by(|a, b| wishes[*a].middle.total_cmp(&wishes[*b].middle));
    let mut ends = vec![f64::NEG_INFINITY; rows];
    let mut places = vec![None; wishes.len()];
    for index in order {
        let Wish { middle, width } = wishes[index];
        let wanted = (middle - width / 2.0).min(right - width).max(left);
        let free = ends.iter().position(|end| end + BETWEEN <= wanted);
        // Rather a little to the right in some row than nowhere.
        let shifted = || {
            let soonest = ends.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
            soonest
                .filter(|(_, end)| *end + BETWEEN + width <= right)
                .filter(|(_, end)| *end + BETWEEN <= middle)
                .map(|(row, end)| (row, end + BETWEEN))
        };
        let found = free.map(|row| (row, wanted)).or_else(shifted);
        if let Some((row, left)) = found {
            ends[row] = left + width;
            places[index] = Some(Place { left, row });
        }
    }
    places
}

/// How many rows are in use.
pub(super) fn rows(places: &[Option<Place>]) -> usize {
    let used = places.iter().flatten().map(|place| place.row + 1);
    used.max().unwrap_or(0)
}

/// Marks so close together that their numbers would touch: first and last index into the input, and the middle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Group {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) middle: f64,
}

/// Groups marks (ascending) whose labels would touch; `width` tells a group's label's width from its ends.
pub(super) fn group(marks: &[f64], width: impl Fn(usize, usize) -> f64) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let join = |first: usize, last: usize| Group {
        first,
        last,
        middle: (marks[first] + marks[last]) / 2.0,
    };
    let half = |group: &Group| width(group.first, group.last) / 2.0 + 5.0;
    for index in 0..marks.len() {
        let mut next = join(index, index);
        // Joining moves the middle to the left, so the one before may be reached as well.
        while let Some(before) = groups.last() {
            if before.middle + half(before) <= next.middle - half(&next) {
                break;
            }
            next = join(before.first, next.last);
            groups.pop();
        }
        groups.push(next);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(wishes: &[Wish], places: &[Option<Place>]) -> bool {
        let placed: Vec<_> = places
            .iter()
            .zip(wishes)
            .filter_map(|(place, wish)| place.map(|place| (place, wish.width)))
            .collect();
        placed.iter().enumerate().any(|(index, (a, width))| {
            placed[index + 1..].iter().any(|(b, other)| {
                a.row == b.row && a.left < b.left + other && b.left < a.left + width
            })
        })
    }

    #[test]
    fn labels_never_touch_and_stay_inside() {
        let wishes: Vec<Wish> = [100.0, 104.0, 110.0, 300.0, 898.0, 890.0]
            .into_iter()
            .map(|middle| Wish {
                middle,
                width: 120.0,
            })
            .collect();
        let places = pack(&wishes, 90.0, 900.0, 4);
        assert!(places.iter().all(Option::is_some), "{places:?}");
        assert!(!overlap(&wishes, &places), "{places:?}");
        for place in places.iter().flatten() {
            assert!(place.left >= 90.0 && place.left + 120.0 <= 900.0);
        }
        assert_eq!(rows(&places), 3);
    }

    #[test]
    fn what_has_no_room_is_told() {
        let wishes = [Wish {
            middle: 50.0,
            width: 90.0,
        }; 3];
        let places = pack(&wishes, 0.0, 100.0, 2);
        assert_eq!(places.iter().filter(|place| place.is_none()).count(), 1);
    }

    #[test]
    fn close_marks_share_a_number() {
        let groups = group(&[10.0, 12.0, 200.0, 214.0, 500.0], |first, last| {
            if first == last { 16.0 } else { 30.0 }
        });
        let ends: Vec<_> = groups
            .iter()
            .map(|group| (group.first, group.last))
            .collect();
        assert_eq!(ends, [(0, 1), (2, 3), (4, 4)]);
        for pair in groups.windows(2) {
            assert!(pair[1].middle - pair[0].middle >= 16.0);
        }
    }
}
