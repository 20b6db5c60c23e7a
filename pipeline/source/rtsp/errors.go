package rtsp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/liberrors"

	"detectd/pipeline"
)

// errNoTCP marks the refusal of TCP as the transport of the video.
var errNoTCP = errors.New("camera does not offer TCP")

func failed(reason string, err error) *pipeline.SourceError {
	return &pipeline.SourceError{State: pipeline.StateFailed, Reason: reason, Err: err}
}

// explain turns the end of a session into the state and the words that people
// see. The words hold nothing that the camera or the URL said.
func (ss *session) explain(err error) *pipeline.SourceError {
	if done, ok := errors.AsType[*pipeline.SourceError](err); ok {
		return done
	}
	as := func(state pipeline.State, reason string) *pipeline.SourceError {
		return &pipeline.SourceError{State: state, Reason: reason, Err: err}
	}
	if ss.playing.Load() {
		return as(pipeline.StateLost, "the connection to the camera broke")
	}
	if status, ok := errors.AsType[liberrors.ErrClientBadStatusCode](err); ok {
		return ss.explainStatus(status, as)
	}
	if is[liberrors.ErrClientServerRequestedUDP](err) {
		return noTCP(err)
	}
	if se := explainNetwork(err, as); se != nil {
		return se
	}
	switch {
	case is[liberrors.ErrClientAuthSetup](err):
		return as(pipeline.StateAuth, "the camera asks for a way to log in that detectd does not know")
	case is[liberrors.ErrClientSDPInvalid](err):
		return as(pipeline.StateFailed, "the camera describes its streams in a way that cannot be read")
	case is[liberrors.ErrClientRequestTimedOut](err):
		return as(pipeline.StateTimeout, "the camera did not answer in time")
	}
	return as(pipeline.StateFailed, "what answers at this address does not behave like an RTSP camera")
}

func noTCP(err error) *pipeline.SourceError {
	return &pipeline.SourceError{
		State: pipeline.StateRefused, Reason: "the camera does not send video over TCP; set the transport to udp",
		Err: errors.Join(errNoTCP, err),
	}
}

func (ss *session) explainStatus(
	status liberrors.ErrClientBadStatusCode, as func(pipeline.State, string) *pipeline.SourceError,
) *pipeline.SourceError {
	switch code := status.Code; {
	case code == base.StatusUnauthorized && ss.url.User == nil:
		return as(pipeline.StateAuth, "the camera wants a user and a password")
	case code == base.StatusUnauthorized, code == base.StatusForbidden:
		return as(pipeline.StateAuth, "the camera wants another user or password")
	case code == base.StatusNotFound, code == base.StatusGone:
		return as(pipeline.StateNotFound, "the camera does not know the path of this URL")
	case code == base.StatusUnsupportedTransport && *ss.client.Protocol == gortsplib.ProtocolTCP:
		return noTCP(status)
	case code == base.StatusUnsupportedTransport:
		return as(pipeline.StateRefused, "the camera does not send video over UDP; set the transport to tcp")
	case code == base.StatusNotEnoughBandwidth, code == base.StatusServiceUnavailable:
		return as(pipeline.StateRefused, fmt.Sprintf("the camera is busy (status %d); close other viewers", code))
	default:
		return as(pipeline.StateRefused, fmt.Sprintf("the camera refused with status %d", code))
	}
}

func explainNetwork(err error, as func(pipeline.State, string) *pipeline.SourceError) *pipeline.SourceError {
	dns, unknown := errors.AsType[*net.DNSError](err)
	timeout, slow := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return as(pipeline.StateRefused, "the camera refused the connection")
	case unknown && !dns.IsTimeout:
		return as(pipeline.StateRefused, "the host name of the camera is not known")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return as(pipeline.StateRefused, "there is no way to the camera in this network")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		slow && timeout.Timeout():
		return as(pipeline.StateTimeout, "the camera did not answer in time")
	case is[*tls.CertificateVerificationError](err), is[x509.UnknownAuthorityError](err), is[x509.HostnameError](err):
		return as(pipeline.StateRefused, "the camera's TLS certificate is not trusted")
	case is[tls.RecordHeaderError](err):
		return as(pipeline.StateRefused, "the camera does not speak TLS on this port; try rtsp://")
	case isClosed(err), is[*net.OpError](err):
		return as(pipeline.StateRefused, "the camera closed the connection before it sent video")
	}
	return nil
}

// is says that err is or wraps a T.
func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
