package store

import "context"

// Lister lists segments page by page, as Segments does.
type Lister interface {
	ListSegments(ctx context.Context, cameraID string, r Range, p Page) ([]Segment, string, error)
}

// AllSegments follows the pages of a list to its end: all segments of a camera
// that overlap the range, oldest first.
func AllSegments(ctx context.Context, l Lister, cameraID string, r Range) ([]Segment, error) {
	var all []Segment
	page := Page{Limit: 1000}
	for {
		found, next, err := l.ListSegments(ctx, cameraID, r, page)
		if err != nil {
			return nil, err
		}
		if all = append(all, found...); next == "" {
			return all, nil
		}
		page.Cursor = next
	}
}
