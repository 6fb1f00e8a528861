// A sign-in in Angular, without zones. Buttons are never disabled: whatever is clicked, one code is sent.

import { Component, inject, provideZonelessChangeDetection, signal } from "@angular/core";
import { bootstrapApplication } from "@angular/platform-browser";

import type { Action, Step } from "oncegate";

import { Auth } from "./auth";
import { Order, Orders } from "./orders";

@Component({
  selector: "shop-root",
  template: `
    @let now = auth.snapshot();
    <main [attr.data-state]="now.step?.state" [attr.data-status]="now.status"
          [attr.aria-busy]="now.isPending">
      @if (now.error; as error) { <p role="alert">{{ error.message }}</p> }
      @if (now.status === "authenticated") {
        <p>Orders of {{ now.user.username }} <button (click)="auth.client.signOut()">Sign out</button></p>
        <button (click)="show()">My orders</button>
        <ul>@for (order of orders(); track order.id) { <li>Order {{ order.id }} of {{ order.user }}</li> }</ul>
      } @else if (now.step) {
        @let step = now.step;
        <h1>{{ step.title }}</h1>
        <p role="status">{{ (step.reason ?? step.message)?.text }}</p>
        @if (step.totp) { <code>{{ step.totp.secret }}</code> }
        @for (action of actionsOf(step); track action) {
          @if (!action.is_main && action.summary) { <small>{{ action.summary }}</small> }
          <form (submit)="submit($event, action)">
            @for (field of action.fields; track field.name) {
              @switch (field.type) {
                @case ("passkey") {}
                @case ("choice") {
                  <fieldset>
                    <legend>{{ field.label }}</legend>
                    @for (choice of field.choices; track choice.value) {
                      <label>
                        <input type="radio" [name]="field.name" [value]="choice.value" required>
                        {{ choice.label }}
                      </label>
                    }
                  </fieldset>
                }
                @default {
                  <label>
                    {{ field.label }}
                    <input [name]="field.name" [type]="field.type" [required]="field.required"
                           [autocomplete]="field.autocomplete" [attr.inputmode]="field.inputmode"
                           [attr.value]="field.value">
                    {{ now.error?.fields?.[field.name] }}
                  </label>
                }
              }
            }
            <button>{{ action.label }}</button>
          </form>
        }
        @if (step.state === "failed") { <button (click)="auth.client.start()">Start again</button> }
      }
    </main>
  `,
})
export class Shop {
  protected readonly auth = inject(Auth);
  protected readonly orders = signal<readonly Order[]>([]);
  private readonly api = inject(Orders);

  protected async show(): Promise<void> {
    this.orders.set(await this.api.mine());
  }

  /** The actions of any state, as one type. */
  protected actionsOf(step: Step): readonly Action[] {
    return step.actions;
  }

  protected async submit(submitted: Event, action: Action): Promise<void> {
    submitted.preventDefault();
    await this.auth.client.submit(action, new FormData(submitted.currentTarget as HTMLFormElement));
  }
}

await bootstrapApplication(Shop, { providers: [provideZonelessChangeDetection()] });
