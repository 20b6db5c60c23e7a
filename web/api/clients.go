package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"detectd/store"
)

// Client is an owner of cameras.
type Client struct {
	ID        string `json:"id" example:"harbour" doc:"Identifies the client for ever."`
	Name      string `json:"name" example:"Harbour" doc:"For people."`
	Revision  int64  `json:"revision" example:"1" doc:"Counts the changes of this record."`
	CreatedAt Time   `json:"created_at" doc:"When it was created."`
	UpdatedAt Time   `json:"updated_at" doc:"When it was last changed."`
	Cameras   int    `json:"cameras" example:"2" doc:"How many cameras it has."`
}

// NewClient is a client to create.
type NewClient struct {
	ID   string `json:"id,omitempty" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"harbour" doc:"Its id; made from the name when absent."`
	Name string `json:"name" minLength:"1" maxLength:"200" example:"Harbour" doc:"For people."`
}

// ClientChange replaces the settings of a client.
type ClientChange struct {
	Name string `json:"name" minLength:"1" maxLength:"200" example:"Harbour" doc:"For people."`
}

// ClientPath is the client in a path.
type ClientPath struct {
	ClientID string `path:"client_id" pattern:"^[a-z0-9][a-z0-9_-]{0,62}$" example:"harbour" doc:"The client's id."`
}

// Precondition is the optional precondition of a change.
type Precondition struct {
	IfMatch string `header:"If-Match" example:"\"7\"" doc:"Revision the change is based on, quoted. Without it, or with *, any revision is overwritten."`
}

func (s *server) routeClients() {
	const tag = "Clients"
	huma.Register(s.huma, operation(http.MethodGet, "/clients", "list-clients", tag,
		"List clients", "All clients, by id."), s.listClients)
	create := operation(http.MethodPost, "/clients", "create-client", tag,
		"Create a client", "Creates a client. 409 when its id is taken.", 400, 409, 413)
	create.DefaultStatus = http.StatusCreated
	huma.Register(s.huma, create, s.createClient)
	huma.Register(s.huma, operation(http.MethodGet, "/clients/{client_id}", "get-client", tag,
		"Get a client", "One client with its revision.", 404), s.getClient)
	huma.Register(s.huma, s.revisable(operation(http.MethodPut, "/clients/{client_id}", "update-client", tag,
		"Change a client", "Replaces the client's settings. 412 when If-Match names another revision than the stored one.", 400, 404, 413)), s.updateClient)
	huma.Register(s.huma, s.revisable(operation(http.MethodDelete, "/clients/{client_id}", "delete-client", tag,
		"Delete a client", "Deletes a client. 409 while it has cameras.", 404, 409)), s.deleteClient)
}

func (s *server) listClients(ctx context.Context, in *struct{ Page }) (*listed[Client], error) {
	clients, err := s.Records.ListClients(ctx)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	cameras, err := s.Records.ListCameras(ctx, "")
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	count := map[string]int{}
	for _, c := range cameras {
		count[c.ClientID]++
	}
	rows, next, err := window(clients, in.Page, func(c store.Client) string { return c.ID })
	if err != nil {
		return nil, err
	}
	return newList(rows, next, func(c store.Client) Client { return newClient(c, count[c.ID]) }), nil
}

func (s *server) createClient(ctx context.Context, in *struct{ Body NewClient }) (*created[Client], error) {
	c, err := createUnique(in.Body.ID, in.Body.Name, "client", func(id string) (store.Client, error) {
		return s.Records.CreateClient(ctx, store.Client{ID: id, Name: in.Body.Name})
	})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	s.Announcer.ClientChanged(c.ID, Created)
	return &created[Client]{Location: base + "/clients/" + c.ID, ETag: etag(c.Revision), Body: newClient(c, 0)}, nil
}

func (s *server) getClient(ctx context.Context, in *ClientPath) (*revised[Client], error) {
	c, err := s.client(ctx, in.ClientID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &revised[Client]{ETag: etag(c.Revision), Body: c}, nil
}

func (s *server) updateClient(ctx context.Context, in *struct {
	ClientPath
	Precondition
	Body ClientChange
},
) (*revised[Client], error) {
	expect, err := parseIfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	if _, err := s.Records.UpdateClient(ctx, store.Client{ID: in.ClientID, Name: in.Body.Name}, expect); err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) { return s.client(ctx, in.ClientID) })
	}
	s.Announcer.ClientChanged(in.ClientID, Updated)
	return s.getClient(ctx, &in.ClientPath)
}

func (s *server) deleteClient(ctx context.Context, in *struct {
	ClientPath
	Precondition
},
) (*struct{}, error) {
	expect, err := parseIfMatch(in.IfMatch)
	if err != nil {
		return nil, err
	}
	if err := s.Records.DeleteClient(ctx, in.ClientID, expect); err != nil {
		return nil, s.failRevision(ctx, err, func() (any, error) { return s.client(ctx, in.ClientID) })
	}
	s.Announcer.ClientChanged(in.ClientID, Deleted)
	return nil, nil
}

// client returns the client in its JSON form.
func (s *server) client(ctx context.Context, id string) (Client, error) {
	c, err := s.Records.Client(ctx, id)
	if err != nil {
		return Client{}, err
	}
	cameras, err := s.Records.ListCameras(ctx, id)
	return newClient(c, len(cameras)), err
}

func newClient(c store.Client, cameras int) Client {
	return Client{
		ID: c.ID, Name: c.Name, Revision: c.Revision,
		CreatedAt: Time{c.CreatedAt}, UpdatedAt: Time{c.UpdatedAt}, Cameras: cameras,
	}
}
