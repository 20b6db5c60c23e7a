package detect

// Object is a detection that a tracker may know from earlier pictures: the same
// TrackID is the same object. An empty TrackID means that it is not followed (yet).
type Object struct {
	Detection
	TrackID string
}
