package store

// Effective is the running-model record that decides for a camera: its own,
// else its client's, else one that names the default model (revision 0). The
// CameraID and ClientID of the result say which level it is from.
func Effective(records []RunningModel, clientID, cameraID, defaultModel string) RunningModel {
	best := RunningModel{Model: defaultModel}
	for _, r := range records {
		switch {
		case r.ClientID != clientID || r.Deleted:
		case r.CameraID == cameraID:
			return r
		case r.CameraID == "":
			best = r
		}
	}
	return best
}
